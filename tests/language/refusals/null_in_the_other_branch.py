# refuse: 13: may be None here
from hv.lang import u32


class Node:
    id: u32
    next: "Node | None"


def f(node: Node) -> u32:
    if node.next is not None:
        return node.next.id
    return node.next.id
