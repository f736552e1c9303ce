# refuse: 6: would create
from hv.lang import u32


def f(n: u32) -> u32:
    if (m := n) == 5:
        return m
    return 0
