# refuse: 9: the step after the last passes the range of u8: use a wider type
from hv.lang import Final, u8


START: Final[u8] = 1


def f() -> None:
    for i in range(START, 256, 5):
        pass
