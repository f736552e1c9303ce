# refuse: 5: `size_of` is not a type
from hv.lang import size_of


def f(x: size_of) -> None:
    pass


def g() -> None:
    pass
