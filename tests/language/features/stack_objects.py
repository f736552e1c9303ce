"""Objects on the stack are passed down, filled, and linked to each other."""

from hv.lang import Iterator, array, u8, u32, value


class Node:
    next: "Node | None"
    number: u32

    def follow(self, other: "Node") -> None:
        self.next = other

    def chain(self) -> "Iterator[Node]":
        at: Node | None = self
        for _ in range(8):
            if at is not None:
                yield at
                at = at.next


class Request:
    target: Node
    numbers: array[u32, 4]
    count: u32

    def add(self, number: u32) -> None:
        self.numbers[self.count] = number
        self.count += 1


@value
class Pair:
    first: Node
    second: Node

    @property
    def sum(self) -> u32:
        return self.first.number + self.second.number


class Owner:
    node: Node


def fill(request: Request, n: u32) -> Request:
    request.add(n)
    request.add(n + 1)
    return request


def larger(a: Node, b: Node) -> Node:
    return a if a.number > b.number else b


def aimed(request: Request, owner: Owner) -> None:
    request.target = owner.node


def keeps(owner: Owner, request: Request) -> None:
    owner.node = request.target


def calc_filled(n: u8) -> u32:
    request = Request()
    fill(request, u32(n))
    return fill(request, 5).numbers[0] + request.count


def calc_linked(n: u8) -> u32:
    first = Node()
    second = Node()
    third = Node()
    first.number = u32(n)
    second.number = 7
    third.number = 9
    first.follow(second)
    second.follow(third)
    sum: u32 = 0
    for node in first.chain():
        sum += node.number
    return sum + larger(first, second).number


def calc_in_a_record(n: u8) -> u32:
    a = Node()
    b = Node()
    a.number = u32(n)
    b.number = 3
    return Pair(a, larger(a, b)).sum


def test_what_hangs_on_one_may_leave() -> u32:
    node = Node()
    node.number = 12
    owner = Owner()
    owner.node = node
    request = Request()
    aimed(request, owner)
    other = Owner()
    keeps(other, request)
    return other.node.number


def test_each_round_has_a_new_one() -> u32:
    sum: u32 = 0
    for i in range(4):
        request = Request()
        request.add(i)
        sum += request.count * 10 + request.numbers[0]
    return sum
