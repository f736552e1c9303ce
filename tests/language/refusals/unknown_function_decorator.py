# refuse: 9: unknown decorator
from hv.lang import u32


def mark(n: u32) -> u32:
    return n


@mark
def f() -> None:
    pass
