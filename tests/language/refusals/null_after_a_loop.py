# refuse: 16: may be None here
from hv.lang import u32


class Node:
    id: u32
    next: "Node | None"


def f(node: Node | None) -> u32:
    assert node is not None
    for i in range(3):
        if node is None:
            break
        node = node.next
    return node.id
