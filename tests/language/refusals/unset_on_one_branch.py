# refuse: 8: `y` may be unset here: assign it on every way that leads here
from hv.lang import u32


def f(x: u32) -> u32:
    if x != 0:
        y: u32 = 1
    return y
