# refuse: 6: str is no number
from hv.lang import u32


def f(text: str) -> u32:
    return u32(text)
