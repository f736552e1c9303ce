# refuse: 8: `LIMIT` may be unset here
from hv.lang import Final, u32

LIMIT: Final[u32] = 5


def f() -> u32:
    x = LIMIT
    LIMIT: u32 = 6
    return x + LIMIT
