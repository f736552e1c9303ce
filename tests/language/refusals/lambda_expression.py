# refuse: 6: would create a Python object
from hv.lang import u32


def f() -> u32:
    x = lambda: 1
    return 0
