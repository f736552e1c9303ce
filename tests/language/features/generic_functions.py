"""Generic functions: their parameters come from the arguments."""

from hv.lang import Final, Generic, TypeVar, array, embedded, u8, u32, u64

T = TypeVar("T")
N = TypeVar("N", bound=int)


@embedded
class Pile(Generic[T, N]):
    items: array[T, N]


class Node:
    id: u32


bytes: Final = Pile[u8, 3]()
longs: Final = Pile[u64, 2]()
node: Final = Node()


def first(pile: Pile[T, N]) -> T:
    return pile.items[0]


def chosen(a: T, b: T, second: bool) -> T:
    return b if second else a


def put(pile: Pile[T, N], i: u32, item: T) -> u64:
    pile.items[i] = item
    return u64(i)


def test_of_a_class() -> u64:
    bytes.items[0] = 250
    longs.items[0] = 1 << 33
    return u64(first(bytes) + 6) + (first(longs) + 6)


def test_of_values() -> u64:
    a: u8 = 200
    b: u8 = 100
    return u64(chosen(a, b, False) + chosen(a, b, True))


def test_of_references() -> u64:
    made = Node()
    made.id = 3
    node.id = 4
    return u64(chosen(made, node, False).id) * 10 + u64(chosen(made, node, True).id)


def test_literals_take_the_parameter() -> u64:
    put(bytes, 2, 255)
    put(longs, 1, 0xFFFF_FFFF_FFFF)
    return u64(bytes.items[2] + 1) + longs.items[1]


def calc_put(i: u32, x: u8) -> u64:
    return put(bytes, i, x) * 1000 + u64(bytes.items[i])
