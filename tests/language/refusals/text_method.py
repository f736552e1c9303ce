# refuse: 3: text has no `upper`
def f(a: str) -> str:
    return a.upper()
