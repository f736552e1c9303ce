# refuse: 11: may be None here: test it first
from hv.lang import u32


class Node:
    id: u32
    next: "Node | None"


def f(node: Node) -> u32:
    return node.next.id
