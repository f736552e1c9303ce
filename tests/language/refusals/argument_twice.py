# refuse: 10: is given twice
from hv.lang import u32


def g(n: u32) -> None:
    pass


def f() -> None:
    g(1, n=2)
