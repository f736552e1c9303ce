# refuse: 10: has no member `BUSY`
from hv.lang import U8Enum


class State(U8Enum):
    FREE = 0


def f() -> State:
    return State.BUSY
