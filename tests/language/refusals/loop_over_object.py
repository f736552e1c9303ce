# refuse: 10: no `__iter__` that yields
from hv.lang import u32


class Node:
    id: u32


def f(node: Node) -> u32:
    for i in node:
        return 1
    return 0
