# refuse: 8: is a method: call it
class Node:
    def run(self) -> None:
        pass


def f(node: Node) -> None:
    x = node.run
