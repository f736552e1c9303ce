# refuse: 10: lies inside its owner and cannot be replaced
from hv.lang import array, u32


class Node:
    items: array[u32, 4]


def f(node: Node, other: Node) -> None:
    node.items = other.items
