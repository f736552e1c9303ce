# refuse: 6: None on both sides of a conditional expression
from hv.lang import u32


def f(n: u32) -> None:
    x = None if n == 0 else None
