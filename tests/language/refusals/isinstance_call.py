# refuse: 10: is not in the language
from hv.lang import u32


class Node:
    id: u32


def f(node: Node) -> bool:
    return isinstance(node, Node)
