# refuse: 6: would create a Python object
from hv.lang import u32


def f() -> u32:
    x = [1, 2]
    return 0
