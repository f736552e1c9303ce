# refuse: 6: truncate(u8, …)
from hv.lang import u32, u8


def f(a: u32) -> u8:
    b: u8 = a
    return b
