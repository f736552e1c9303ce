# refuse: 10: Node has no `__getitem__`
from hv.lang import u32


class Node:
    id: u32


def f(node: Node) -> u32:
    return node[0]
