# refuse: 9: 300 does not fit u8
from hv.lang import Final, u8, u32


BIG: Final[u32] = 300


def f() -> u8:
    return u8(BIG)
