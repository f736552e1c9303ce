# refuse: 8: an object on the stack cannot be stored
class Node:
    next: "Node | None"


def f(owner: Node) -> None:
    node = Node()
    owner.next = node
