# refuse: 6: unary plus
from hv.lang import u32


def f(a: u32) -> u32:
    return +a
