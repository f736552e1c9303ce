# refuse: 10: an f-string is only an argument for a parameter annotated Message
from hv.lang import u32


def g(text: str) -> None:
    pass


def f(n: u32) -> None:
    g(f"{n}")
