# refuse: 6: `1` in a tuple needs a type
from hv.lang import u32


def f() -> u32:
    x = (1, 2)
    return 0
