# refuse: 6: 256 does not fit u8
from hv.lang import u8


def f() -> u8:
    n: u8 = 256
    return n
