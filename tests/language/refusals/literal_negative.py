# refuse: 6: -1 does not fit u32
from hv.lang import u32


def f() -> u32:
    return -1
