# refuse: 6: tuple[u32, u32] is indexed by a constant below 2, or unpacked
from hv.lang import u32


def f(a: tuple[u32, u32], i: u32) -> u32:
    return a[i]
