# refuse: 7: the last argument of bounded(…) is the maximum, a constant: declare it Final
from hv.lang import bounded, u32


def f(n: u32, m: u32) -> u32:
    total: u32 = 0
    for i in bounded(n, m):
        total += i
    return total
