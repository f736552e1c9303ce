# refuse: 10: does not fit u16
from hv.lang import u16


def g(n: u16) -> None:
    pass


def f() -> None:
    g(65_536)
