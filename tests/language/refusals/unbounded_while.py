# refuse: 6: `while` has no bound
from hv.lang import u32


def f(n: u32) -> u32:
    while n != 0:
        n -= 1
    return n
