# refuse: 14: cannot be printed
from hv.lang import Message, u32


class Node:
    id: u32


def g(message: Message) -> None:
    pass


def f(node: Node) -> None:
    g(f"{node}")
