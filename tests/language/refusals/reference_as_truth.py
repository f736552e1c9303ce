# refuse: 10: write a comparison
from hv.lang import u32


class Node:
    next: "Node | None"


def f(node: Node) -> u32:
    if node.next:
        return 1
    return 2
