# refuse: 14: may be None here
from hv.lang import u32


class Node:
    id: u32
    next: "Node | None"


def f(node: Node | None) -> u32:
    total: u32 = 0
    assert node is not None
    for i in range(3):
        total += node.id
        node = node.next
    return total
