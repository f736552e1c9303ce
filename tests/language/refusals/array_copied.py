# refuse: 10: an array is not copied
from hv.lang import array, u32


class Node:
    items: array[u32, 4]


def f(node: Node) -> u32:
    items = node.items
    return items[0]
