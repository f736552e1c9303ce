# refuse: 6: `/` gives a float
from hv.lang import u32


def f(a: u32) -> u32:
    return a / 2
