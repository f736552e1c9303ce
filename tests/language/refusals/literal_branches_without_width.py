# refuse: 6: need a width
from hv.lang import u32


def f(yes: bool) -> u32:
    n = 1 if yes else 2
    return n
