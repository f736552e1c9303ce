# refuse: 10: has no field `size`
from hv.lang import u32


class Node:
    id: u32


def f(node: Node) -> u32:
    return node.size
