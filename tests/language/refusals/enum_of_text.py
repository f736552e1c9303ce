# refuse: 11: str does not convert to State
from hv.lang import U8Enum


class State(U8Enum):
    OFF = 0
    ON = 1


def f(s: str) -> None:
    x = State(s)
