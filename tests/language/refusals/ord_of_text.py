# refuse: 6: ord() takes one character
from hv.lang import u8


def f(a: str) -> u8:
    return ord(a)
