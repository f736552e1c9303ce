# refuse: 10: star arguments: name each argument
from hv.lang import u32


def g(n: u32) -> None:
    pass


def f(n: u32) -> None:
    g(**n)
