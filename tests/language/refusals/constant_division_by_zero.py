# refuse: 8: division by zero
from hv.lang import Final, u32

EMPTY: Final = 0


def f() -> u32:
    n: u32 = 5 // EMPTY
    return n
