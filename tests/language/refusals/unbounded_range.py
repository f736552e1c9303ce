# refuse: 7: has no bound: write bounded(n, MAX)
from hv.lang import u32


def f(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        total += i
    return total
