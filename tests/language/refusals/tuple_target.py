# refuse: 6: 2 targets for tuple[u32, u32, u32]
from hv.lang import u32


def f(a: tuple[u32, u32, u32]) -> u32:
    x, y = a
    return x + y
