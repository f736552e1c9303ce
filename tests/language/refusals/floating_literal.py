# refuse: 6: floating point
from hv.lang import u32


def f() -> u32:
    x = 1.5
    return 0
