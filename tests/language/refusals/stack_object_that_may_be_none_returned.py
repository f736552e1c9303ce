# refuse: 37: an object on the stack cannot be returned
from hv.lang import Callable, Final, Protocol, u32, value


class Node:
    next: "Node | None"
    number: u32

    def keep(self, other: "Node") -> None:
        self.next = other

    def tail(self) -> "Node | None":
        return self.next


@value
class Pair:
    first: Node
    number: u32


head: Final = Node()


def same(node: Node) -> Node:
    return node


def published(node: Node) -> None:
    head.keep(node)


def f(n: u32) -> Node | None:
    found: Node | None = None
    if n == 5:
        found = Node()
    return found
