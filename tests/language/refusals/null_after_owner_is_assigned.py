# refuse: 14: may be None here
from hv.lang import u32


class Node:
    id: u32
    next: "Node | None"


def f(a: Node, b: Node) -> u32:
    if a.next is None:
        return 0
    a = b
    return a.next.id
