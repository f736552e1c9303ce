# refuse: 6: outside
from hv.lang import u32


def f() -> u32:
    break
    return 0
