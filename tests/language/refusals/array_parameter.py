# refuse: 5: cannot be passed
from hv.lang import array, u32


def f(items: array[u32, 4]) -> None:
    pass
