# refuse: 8: one target at a time
from hv.lang import u32


def f() -> u32:
    x: u32 = 0
    y: u32 = 0
    x = y = 5
    return x
