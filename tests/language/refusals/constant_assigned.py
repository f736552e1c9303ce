# refuse: 9: cannot be replaced
from hv.lang import Final

LIMIT: Final = 5


def f() -> None:
    global LIMIT
    LIMIT = 6
