# refuse: 2: is not known here
def f(n: Missing) -> None:
    pass
