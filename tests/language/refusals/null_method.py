# refuse: 10: may be None here: test it first
class Node:
    next: "Node | None"

    def run(self) -> None:
        pass


def f(node: Node) -> None:
    node.next.run()
