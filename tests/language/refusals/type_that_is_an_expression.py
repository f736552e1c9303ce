# refuse: 5: `u32 + u32` is not a type
from hv.lang import u32


def f(x: u32 + u32) -> None:
    pass


def g() -> None:
    pass
