# refuse: 6: a shift by 32 of u32
from hv.lang import u32


def f(n: u32) -> u32:
    return n << 32
