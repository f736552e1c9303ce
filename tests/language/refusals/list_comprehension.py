# refuse: 6: would create a Python object
from hv.lang import u32


def f() -> u32:
    x = [i for i in range(3)]
    return 0
