# refuse: 7: is not a constant
from hv.lang import u32

limit: u32 = 5


def g(n: u32 = limit) -> None:
    pass


def f() -> None:
    g()
