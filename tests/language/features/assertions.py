"""assert, and functions that never return."""

from hv.lang import Final, Never, array, u8, u32, u64

table: Final[array[u32, 4]] = array()


class Node:
    id: u32
    next: "Node | None"


node: Final = Node()


def fail(reason: str) -> Never:
    assert False, "gave up"


def checked(n: u32) -> u32:
    assert n != 3, "three is no number"
    assert n < 100
    return n * 2


def only_small(n: u8) -> u64:
    if n < 10:
        return u64(n)
    fail("too big")


def calc_checked(n: u32) -> u32:
    return checked(n)


def calc_never(n: u8) -> u64:
    return only_small(n)


def calc_narrowed(present: bool) -> u64:
    node.next = node if present else None
    following = node.next
    assert following is not None, "no node"
    return u64(following.id) + 1


def test_holds() -> u64:
    return u64(checked(4))


def test_narrows() -> u64:
    node.next = node
    assert node.next is not None
    node.next.id = 5
    return u64(node.id)


def trap_does_not_hold() -> u64:
    return u64(checked(3))


def trap_null() -> u64:
    node.next = None
    assert node.next is not None, "null"
    return u64(node.next.id)


def trap_never_returns() -> u64:
    fail("at once")
