# refuse: 6: `y` may be unset here
from hv.lang import u32


def f() -> u32:
    x = y + 1
    y: u32 = 1
    return x
