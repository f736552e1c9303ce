# refuse: 6: tuples are not in the language yet
from hv.lang import u32


def f(a: u32, b: u32) -> u32:
    a, b = b, a
    return a
