# refuse: 10: has no parameter `m`
from hv.lang import u32


def g(n: u32) -> None:
    pass


def f() -> None:
    g(m=1)
