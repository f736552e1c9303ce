# refuse: 10: State where u8 is wanted
from hv.lang import U8Enum, u8


class State(U8Enum):
    FREE = 0


def f(state: State) -> u8:
    return state
