# refuse: 10: a format is [#][0][width][x]
from hv.lang import Message, u32


def g(message: Message) -> None:
    pass


def f(n: u32) -> None:
    g(f"{n:>10}")
