# refuse: 7: returns nothing
def g() -> None:
    pass


def f() -> None:
    x = g()
