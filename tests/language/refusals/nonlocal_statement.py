# refuse: 3: nonlocal
def f() -> None:
    nonlocal x
