# refuse: 6: unsigned integer of known width
from hv.lang import popcount, u32


def f() -> u32:
    return popcount(5)
