# refuse: 6: u32 has no length
from hv.lang import u32


def f(n: u32) -> None:
    x = len(n)
