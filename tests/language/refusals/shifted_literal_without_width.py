# refuse: 6: needs a width
from hv.lang import u32


def f(n: u32) -> u32:
    mask = 1 << n
    return mask
