# refuse: 6: at module level
def f() -> None:
    pass


f()
