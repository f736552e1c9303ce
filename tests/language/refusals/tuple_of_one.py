# refuse: 5: a tuple holds two values or more
from hv.lang import u32


def f(a: tuple[u32]) -> None:
    pass
