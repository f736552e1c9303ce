# refuse: 6: is not known here
from hv.lang import u32


def f() -> u32:
    x = y + 1
    y: u32 = 1
    return x
