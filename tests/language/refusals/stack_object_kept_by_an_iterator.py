# refuse: 40: an object on the stack cannot be stored
from hv.lang import Callable, Final, Iterator, Protocol, u32, value


class Node:
    next: "Node | None"
    number: u32

    def keep(self, other: "Node") -> None:
        self.next = other

    def chain(self) -> "Iterator[Node]":
        for _ in range(4):
            yield self

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


def f() -> None:
    node = Node()
    for other in node.chain():
        head.next = other
