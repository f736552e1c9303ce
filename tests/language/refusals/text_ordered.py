# refuse: 3: text compares with text, by == and !=
def f(a: str, b: str) -> bool:
    return a < b
