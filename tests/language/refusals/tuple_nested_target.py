# refuse: 6: a tuple is unpacked into names, fields and elements
from hv.lang import u32


def f(a: tuple[u32, u32]) -> u32:
    x, *y = a
    return x
