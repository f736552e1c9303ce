# refuse: 2: not Python
def f( -> None:
    pass
