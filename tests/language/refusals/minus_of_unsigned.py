# refuse: 6: convert to a signed type first
from hv.lang import u32


def f(n: u32) -> u32:
    return -n
