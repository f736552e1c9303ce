# refuse: 6: cannot loop over u32
from hv.lang import u32


def f(n: u32) -> u32:
    for i in n:
        return i
    return 0
