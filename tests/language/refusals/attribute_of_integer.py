# refuse: 6: u32 has no `size`
from hv.lang import u32


def f(x: u32) -> u32:
    return x.size
