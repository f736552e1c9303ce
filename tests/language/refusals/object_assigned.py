# refuse: 14: cannot be replaced
from hv.lang import Final, u32


class Node:
    id: u32


node: Final = Node()


def f(other: Node) -> None:
    global node
    node = other
