# refuse: 10: takes 1 arguments, not 2
from hv.lang import u32


def g(n: u32) -> None:
    pass


def f() -> None:
    g(1, 2)
