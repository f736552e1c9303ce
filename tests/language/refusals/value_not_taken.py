# refuse: 6: whose value nobody takes
from hv.lang import u32


def f(n: u32) -> None:
    n + 1
