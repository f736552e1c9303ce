# refuse: 7: where Node is wanted
class Node:
    next: "Node"


def f(node: Node) -> None:
    node.next = None
