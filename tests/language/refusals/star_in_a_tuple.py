# refuse: 6: a star in a tuple: name each value
from hv.lang import u32


def f(x: tuple[u32, u32]) -> None:
    a, b = (*x, 1)
