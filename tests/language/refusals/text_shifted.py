# refuse: 6: str cannot be shifted
from hv.lang import u32


def f(s: str) -> None:
    x = s << 1
