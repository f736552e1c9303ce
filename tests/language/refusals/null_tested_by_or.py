# refuse: 11: may be None here
from hv.lang import u32


class Node:
    id: u32
    next: "Node | None"


def f(node: Node) -> bool:
    return node.next is not None or node.next.id == 1
