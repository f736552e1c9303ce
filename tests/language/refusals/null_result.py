# refuse: 7: it may be None; test it first
class Node:
    next: "Node | None"


def f(node: Node) -> Node:
    return node.next
