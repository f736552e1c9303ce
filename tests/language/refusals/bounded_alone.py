# refuse: 7: bounded(n, MAX) or bounded(start, stop, MAX)
from hv.lang import bounded, u32


def f(n: u32) -> u32:
    total: u32 = 0
    for i in bounded(n):
        total += i
    return total
