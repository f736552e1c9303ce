# refuse: 5: has no result type
from hv.lang import u32


def f(n: u32):
    return n
