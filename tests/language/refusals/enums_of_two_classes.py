# refuse: 14: is compared with
from hv.lang import U8Enum


class State(U8Enum):
    FREE = 0


class Color(U8Enum):
    RED = 0


def f(state: State, color: Color) -> bool:
    return state == color
