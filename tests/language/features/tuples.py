"""Several results at once: tuples are returned, unpacked, and yielded."""

from hv.lang import Bits, Errno, Field, Iterator, TypeVar, array, i32, raises, u8, u32, u64, value

T = TypeVar("T")


class Register(Bits[u32]):
    low = Field(7, 0)
    high = Field(31, 8)


class Node:
    number: u32
    other: "Node | None"


@value
class Range:
    start: u32
    end: u32


class Table:
    slots: array[u32, 4]
    base: u32
    first: u32
    second: u64

    def numbered(self) -> Iterator[tuple[u32, u32]]:
        for i in range(4):
            yield i, self.slots[i]

    def ends(self) -> tuple[u32, u32]:
        return self.slots[0], self.slots[3]


def divided(a: u32, b: u32) -> tuple[u32, u32]:
    return a // b, a % b


def noted(table: Table, n: u32) -> u32:
    table.base = table.base * 10 + n
    return n


@raises
def looked_up(n: u32) -> tuple[u64, bool]:
    if n > 200:
        raise Errno.ENOENT
    return u64(n) * 2, n > 100


@raises
def through(n: u32) -> u64:
    number, large = looked_up(n)
    return number + 1000 if large else number


def nodes(a: Node, b: Node, n: u32) -> tuple[Node, Node | None, Range]:
    if n == 0:
        return a, None, Range(1, 2)
    return b, a, Range(start=n, end=n)


def pair(x: T, y: T) -> tuple[T, T]:
    return y, x


def calc_unpacked(a: u32, b: u8) -> u32:
    quotient, rest = divided(a, u32(b) + 1)
    return quotient * 1000 + rest


def calc_swapped(a: u32, b: u32) -> u32:
    a, b = b, a
    return a // 2 - b // 4


def calc_fibonacci(n: u8) -> u32:
    a: u32 = 0
    b: u32 = 1
    for i in range(20):
        if i < u32(n):
            a, b = b, a + b
    return a


def calc_raised(n: u8) -> u64:
    try:
        return through(u32(n))
    except Errno as e:
        return u64(truncated(e.code))


def truncated(code: i32) -> u32:
    return u32(code)


def calc_kept(n: u8) -> u32:
    both = divided(u32(n), 7)
    again = both
    return again[0] * 10 + both[1]


def calc_references(n: u8) -> u32:
    a = Node()
    b = Node()
    a.number = 5
    b.number = 6
    first, second, span = nodes(a, b, u32(n))
    sum = first.number * 100 + span.end
    if second is not None:
        sum += second.number * 1000
    return sum


def test_yielded() -> u32:
    table = Table()
    for i in range(4):
        table.slots[i] = i * i
    sum: u32 = 0
    for i, slot in table.numbered():
        if i == 1:
            continue
        sum = sum * 10 + i + slot
    return sum


def test_into_fields_and_elements() -> u32:
    table = Table()
    register = Register(0)
    table.first, table.second = 3, 4
    table.slots[1], table.slots[2] = table.first, 9
    register.low, register.high = table.slots[1], table.slots[2]
    table.slots[1], table.slots[2] = table.slots[2], table.slots[1]
    start, end = table.ends()
    return register.raw + table.slots[1] * 10 + u32(table.second) + start + end


def test_in_order() -> u32:
    table = Table()
    a, b, _ = noted(table, 1), noted(table, 2), noted(table, 3)
    return table.base * 100 + a * 10 + b


def test_generic() -> u32:
    x, y = pair(u32(3), u32(4))
    p, q = pair(True, False)
    return x * 10 + y + u32(p) + 2 * u32(q)
