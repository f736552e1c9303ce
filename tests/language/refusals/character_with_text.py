# refuse: 3: a character compares with a character
def f(a: str) -> bool:
    return a[0] == "ab"
