# refuse: 6: has no value yet
from hv.lang import u32


def f() -> u32:
    x += 1
    return 0
