# refuse: 11: it may be None; test it first
class Node:
    next: "Node | None"


def g(node: Node) -> None:
    pass


def f(node: Node) -> None:
    g(node.next)
