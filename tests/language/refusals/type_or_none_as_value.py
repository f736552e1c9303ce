# refuse: 6: a type is not a value
from hv.lang import u32


def f(n: u32) -> None:
    x = n | None
