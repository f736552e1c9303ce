# refuse: 6: needs a width
from hv.lang import u32


def f() -> u32:
    n = 0
    return 5
