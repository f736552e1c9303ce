# refuse: 6: unsigned integer of known width
from hv.lang import i32, leading_zeros, u32


def f(n: i32) -> u32:
    return leading_zeros(n)
