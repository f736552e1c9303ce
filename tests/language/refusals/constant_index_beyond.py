# refuse: 10: index 4 of
from hv.lang import array, u32


class Node:
    items: array[u32, 4]


def f(node: Node) -> u32:
    return node.items[4]
