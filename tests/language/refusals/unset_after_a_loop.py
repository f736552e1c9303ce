# refuse: 8: `last` may be unset here
from hv.lang import bounded, u32


def f(n: u32) -> u32:
    for i in bounded(n, 8):
        last = i
    return last
