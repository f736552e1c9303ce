# refuse: 6: shift or multiply
from hv.lang import u32


def f(a: u32) -> u32:
    return a**2
