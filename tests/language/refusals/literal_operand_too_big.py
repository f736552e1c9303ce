# refuse: 6: does not fit u8
from hv.lang import u8


def f(n: u8) -> u8:
    return n + 256
