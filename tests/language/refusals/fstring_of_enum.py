# refuse: 14: an enum member is printed by name or number: write {state.name}, or convert it
from hv.lang import Message, U8Enum


class State(U8Enum):
    FREE = 0


def g(message: Message) -> None:
    pass


def f(state: State) -> None:
    g(f"{state}")
