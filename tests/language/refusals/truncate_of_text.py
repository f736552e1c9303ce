# refuse: 6: truncate takes an integer type and an integer: truncate(u32, x)
from hv.lang import truncate, u32


def f(s: str) -> None:
    x = truncate(u32, s)
