# refuse: 6: an assertion's text is constant
from hv.lang import u32


def f(n: u32) -> None:
    assert n == 0, f"n is {n}"
