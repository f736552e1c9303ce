# refuse: 10: no !r, !s, !a in a message
from hv.lang import Message, u32


def g(message: Message) -> None:
    pass


def f(n: u32) -> None:
    g(f"{n!r}")
