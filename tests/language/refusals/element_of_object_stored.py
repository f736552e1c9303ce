# refuse: 10: Node has no `__setitem__`
from hv.lang import u32


class Node:
    id: u32


def f(node: Node) -> None:
    node[0] = 5
