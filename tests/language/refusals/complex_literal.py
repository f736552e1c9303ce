# refuse: 3: complex literals are not in the language
def f() -> None:
    x = 5j
