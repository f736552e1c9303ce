# refuse: 6: `in` takes alternatives
from hv.lang import u32


def f(n: u32, m: u32) -> bool:
    return n in m
