# refuse: 3: print
def f() -> None:
    print("x")
