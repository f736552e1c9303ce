# refuse: 53: `take` keeps it (
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


class Taker(Protocol):
    def take(self, node: Node) -> None: ...


class Quiet(Taker):
    number: u32

    def take(self, node: Node) -> None:
        self.number = node.number


class Greedy(Taker):
    number: u32

    def take(self, node: Node) -> None:
        head.next = node


def f(taker: Taker) -> None:
    node = Node()
    taker.take(node)
