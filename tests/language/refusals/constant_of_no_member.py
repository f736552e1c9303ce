# refuse: 10: 2 is no State
from hv.lang import U8Enum


class State(U8Enum):
    FREE = 0


def f() -> State:
    return State(2)
