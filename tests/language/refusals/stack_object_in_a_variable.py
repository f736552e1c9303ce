# refuse: 15: an object on the stack cannot be stored
from hv.lang import u32


class Node:
    id: u32


current: Node | None = None


def f() -> None:
    global current
    node = Node()
    current = node
