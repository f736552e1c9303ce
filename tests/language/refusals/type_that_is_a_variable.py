# refuse: 8: `limit` is not a type
from hv.lang import u32


limit: u32 = 5


def f(x: limit) -> None:
    pass


def g() -> None:
    pass
