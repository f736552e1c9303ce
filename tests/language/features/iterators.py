"""Generators are expanded where they are used."""

from hv.lang import Errno, Final, Iterator, array, bounded, embedded, raises, u8, u32, u64, unbounded

trail: u64 = 0


def mark(x: u64) -> None:
    global trail
    trail = trail * 10 + x


@embedded
class Lock:
    held: u32

    def __enter__(self) -> None:
        self.held += 1
        mark(1)

    def __exit__(self, *_: object) -> None:
        self.held -= 1
        mark(2)


class Node:
    id: u32
    next: "Node | None"


class Chain:
    first: Node | None
    lock: Lock

    @unbounded("ends with the chain")
    def __iter__(self) -> Iterator[Node]:
        node = self.first
        while node is not None:
            after = node.next
            yield node
            node = after

    @unbounded("ends with the chain")
    def above(self, limit: u32, step: u32 = 1) -> Iterator[u32]:
        node = self.first
        while node is not None:
            if node.id > limit:
                yield node.id * step
            node = node.next

    def locked(self, n: u32) -> Iterator[u32]:
        with self.lock:
            for i in bounded(n, 10):
                yield i

    def nested(self, n: u32) -> Iterator[u32]:
        for i in self.locked(n):
            yield i * 2

    def never(self) -> Iterator[u8]:
        if self.first is None:
            return
        yield 1


chain: Final = Chain()
nodes: Final[array[Node, 4]] = array()


def build() -> None:
    for i in range(4):
        nodes[i].id = i + 1
        if i < 3:
            nodes[i].next = nodes[i + 1]
    chain.first = nodes[0]


class Numbers:
    def even(self, limit: u32) -> Iterator[u32]:
        for i in bounded(limit, 100):
            if i % 2 == 0:
                yield i


numbers: Final = Numbers()


def test_over_an_object() -> u64:
    build()
    total: u64 = 0
    for node in chain:
        total = total * 10 + u64(node.id)
    return total


def test_removed_while_walked() -> u64:
    build()
    total: u64 = 0
    for node in chain:
        node.next = None
        total = total * 10 + u64(node.id)
    return total


def test_with_arguments() -> u64:
    build()
    total: u64 = 0
    for id in chain.above(1, step=3):
        total = total * 100 + u64(id)
    for id in chain.above(3):
        total += u64(id)
    return total


def test_break_releases() -> u64:
    for i in chain.locked(5):
        mark(u64(i) + 3)
        if i == 2:
            break
    return trail * 10 + u64(chain.lock.held)


def test_continue_goes_on() -> u64:
    for i in chain.locked(4):
        if i == 1:
            continue
        mark(u64(i) + 3)
    return trail * 10 + u64(chain.lock.held)


def first_above(limit: u32) -> u32:
    for i in chain.locked(9):
        if i > limit:
            return i
    return 99


def test_return_releases() -> u64:
    found = first_above(3)
    return u64(found) * 1_000_000 + trail * 10 + u64(chain.lock.held)


@raises
def failing(limit: u32) -> None:
    for i in chain.locked(9):
        if i == limit:
            raise Errno.EBUSY


def test_error_releases() -> u64:
    try:
        failing(2)
    except Errno as e:
        mark(u64(u32(e.code)) % 10)
    return trail * 10 + u64(chain.lock.held)


def test_iterator_of_iterator() -> u64:
    total: u64 = 0
    for i in chain.nested(4):
        total = total * 10 + u64(i)
    return total * 10_000 + trail


def test_iterator_that_yields_nothing() -> u64:
    chain.first = None
    total: u64 = 0
    for one in chain.never():
        total += u64(one)
    build()
    for one in chain.never():
        total += u64(one) * 10
    return total


def test_class_without_fields() -> u64:
    total: u64 = 0
    for i in numbers.even(9):
        total = total * 10 + u64(i)
    return total


def test_two_at_once() -> u64:
    total: u64 = 0
    for i in numbers.even(5):
        for j in numbers.even(4):
            total = total * 10 + u64(i + j)
    return total


def test_names_do_not_meet() -> u64:
    build()
    node: u64 = 5
    limit: u32 = 7
    for id in chain.above(2):
        node += u64(id) + u64(limit)
    return node


def calc_first_above(limit: u32) -> u64:
    return u64(first_above(limit)) * 10 + u64(chain.lock.held)


def test_what_is_walked_is_chosen_once() -> u64:
    build()
    other = Chain()
    walked = chain
    total: u64 = 0
    for node in walked:
        walked = other
        total = total * 10 + u64(node.id)
    walked = chain
    for i in walked.locked(2):
        walked = other
        total = total * 10 + u64(i)
    limit: u32 = 2
    for id in chain.above(limit):
        limit = 0
        total = total * 10 + u64(id)
    return total * 100 + u64(chain.lock.held) * 10 + u64(other.lock.held)
