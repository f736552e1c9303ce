# refuse: 10: needs `m`
from hv.lang import u32


def g(n: u32, m: u32) -> None:
    pass


def f() -> None:
    g(1)
