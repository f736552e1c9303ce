# refuse: 14: puts one on the stack
from hv.lang import u32


class Node:
    id: u32


def g(node: Node) -> None:
    pass


def f() -> None:
    g(Node())
