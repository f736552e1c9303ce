# refuse: 9: cannot be returned
from hv.lang import array, u32


class Node:
    items: array[u32, 4]


def f(node: Node) -> array[u32, 4]:
    return node.items
