# refuse: 3: bytes literals are not in the language
def f() -> None:
    x = b"abc"
