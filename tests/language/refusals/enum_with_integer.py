# refuse: 10: is compared with
from hv.lang import U8Enum


class State(U8Enum):
    FREE = 0


def f(state: State) -> bool:
    return state == 0
