# refuse: 7: a step of zero
from hv.lang import u32


def f() -> u32:
    total: u32 = 0
    for i in range(0, 5, 0):
        total += i
    return total
