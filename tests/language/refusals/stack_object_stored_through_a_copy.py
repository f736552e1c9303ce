# refuse: 9: an object on the stack cannot be stored
class Node:
    next: "Node | None"


def f(owner: Node) -> None:
    node = Node()
    other = node
    owner.next = other
