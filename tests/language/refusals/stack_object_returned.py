# refuse: 11: an object on the stack cannot be returned
from hv.lang import u32


class Node:
    id: u32


def f() -> Node:
    node = Node()
    return node
