# refuse: 6: this function returns u32
from hv.lang import u32


def f(n: u32) -> u32:
    return
