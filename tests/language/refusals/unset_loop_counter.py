# refuse: 8: `i` may be unset here
from hv.lang import bounded, u32


def f(n: u32) -> u32:
    for i in bounded(n, 8):
        pass
    return i
