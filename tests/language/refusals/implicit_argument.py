# refuse: 10: u32 where u64 is wanted
from hv.lang import u32, u64


def g(n: u64) -> None:
    pass


def f(a: u32) -> None:
    g(a)
