# refuse: 5: `f` may end without its u32: return one on every way
from hv.lang import u32


def f(n: u32) -> u32:
    if n == 0:
        return 1
