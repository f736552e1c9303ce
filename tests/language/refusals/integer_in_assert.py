# refuse: 6: write a comparison
from hv.lang import u32


def f(n: u32) -> None:
    assert n
