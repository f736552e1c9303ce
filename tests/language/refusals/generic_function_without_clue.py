# refuse: 13: the parameters of generic `g` cannot be inferred
from hv.lang import TypeVar, u32


T = TypeVar("T")


def g(x: T) -> None:
    pass


def f() -> None:
    g(5)
