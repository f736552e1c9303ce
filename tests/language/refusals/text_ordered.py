# refuse: 3: text has no order: it compares with text, by == and !=
def f(a: str, b: str) -> bool:
    return a < b
