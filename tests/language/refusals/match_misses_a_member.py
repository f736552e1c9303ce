# refuse: 10: `f` may end without its u32: return one on every way
from hv.lang import U8Enum, u32


class State(U8Enum):
    FREE = 0
    BOUND = 1


def f(state: State) -> u32:
    match state:
        case State.FREE:
            return 1
