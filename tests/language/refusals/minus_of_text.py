# refuse: 6: str has no `-`
from hv.lang import u32


def f(s: str) -> None:
    x = -s
