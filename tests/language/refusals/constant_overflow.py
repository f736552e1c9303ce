# refuse: 8: does not fit i8
from hv.lang import Final, i8

SMALL: Final[i8] = 100


def f() -> i8:
    return SMALL + 100
