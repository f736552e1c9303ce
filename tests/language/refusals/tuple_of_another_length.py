# refuse: 6: 3 values where tuple[u32, u32] is wanted
from hv.lang import u32


def f(a: u32) -> tuple[u32, u32]:
    return a, a, a
