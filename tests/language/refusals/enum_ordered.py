# refuse: 11: has no order
from hv.lang import U8Enum


class State(U8Enum):
    FREE = 0
    BOUND = 1


def f(state: State) -> bool:
    return state < State.BOUND
