# refuse: 10: u8 where State is wanted
from hv.lang import U8Enum, u8


class State(U8Enum):
    FREE = 0


def f(n: u8) -> State:
    return n
