# refuse: 5: `u32[5]` is not a type
from hv.lang import u32


def f(x: u32[5]) -> None:
    pass


def g() -> None:
    pass
