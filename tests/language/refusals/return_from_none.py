# refuse: 6: returns nothing
from hv.lang import u32


def f(n: u32) -> None:
    return n
