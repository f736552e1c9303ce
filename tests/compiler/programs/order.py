"""What happens first, and how often: each function answers with what it saw."""

from hv.lang import (
    Bits,
    Callable,
    Errno,
    Field,
    Final,
    Generic,
    Iterator,
    Protocol,
    Registry,
    TypeVar,
    U8Flag,
    array,
    bounded,
    guard,
    i32,
    i64,
    raises,
    u8,
    u16,
    u32,
    u64,
    value,
)


class Word(Bits[u32]):
    low = Field(7, 0)
    high = Field(31, 8)


class Cell:
    number: u32
    word: Word


class Box:
    cells: array[Cell, 4]
    numbers: array[u32, 4]
    words: array[Word, 4]
    calls: u32
    trace: u64
    next: "Cell | None"

    def say(self, digit: u32) -> u32:
        self.calls += 1
        self.trace = self.trace * 10 + u64(digit)
        return digit

    @raises
    def checked(self, digit: u32) -> u32:
        if digit > 8:
            raise Errno.EINVAL
        return self.say(digit)

    def cell(self, i: u32) -> Cell:
        self.say(i)
        return self.cells[i]

    @raises
    def checked_cell(self, i: u32) -> Cell:
        self.say(i)
        return self.cells[i]

    def set_number(self, n: u32) -> u32:
        self.numbers[0] = n
        return 100


box: Final = Box()


def begin() -> None:
    box.trace = 0
    box.calls = 0
    for i in range(4):
        box.numbers[i] = 0
        box.words[i] = Word(0)
        box.cells[i].number = 0
        box.cells[i].word = Word(0)


def left_before_right() -> u32:
    begin()
    box.numbers[0] = 5
    return box.numbers[0] + box.set_number(7)


def call_before_read() -> u32:
    begin()
    return box.set_number(7) + box.numbers[0]


def three(a: u32, b: u32, c: u32) -> u32:
    return a * 10000 + b * 100 + c


def argument_before_argument() -> u32:
    begin()
    box.numbers[0] = 1
    return three(box.numbers[0], box.set_number(2) - 99, box.numbers[0])


def chain(a: u32, b: u32, c: u32) -> u64:
    begin()
    if box.say(a) < box.say(b) < box.say(c):
        return box.trace * 10 + 1
    return box.trace * 10


@raises
def checked_chain(a: u32, b: u32, c: u32) -> u64:
    begin()
    if box.checked(a) < box.checked(b) < box.checked(c):
        return box.trace * 10 + 1
    return box.trace * 10


def membership() -> u64:
    begin()
    found = box.say(2) in (box.say(1), box.say(2), box.say(3))
    return box.trace * 10 + u64(found)


def value_before_place() -> u64:
    begin()
    box.numbers[box.say(1)] = box.say(2)
    return box.trace * 10 + u64(box.numbers[1])


@raises
def value_before_checked_place() -> u64:
    begin()
    box.numbers[box.checked(1) + box.say(0)] = box.checked(3)
    return box.trace * 10 + u64(box.numbers[1])


@raises
def owner_once() -> u64:
    begin()
    box.checked_cell(1).number = 5
    return box.trace * 10 + u64(box.cells[1].number)


@raises
def augmented_once() -> u64:
    begin()
    box.numbers[box.say(1)] += 4
    box.cell(2).number += box.say(3)
    box.checked_cell(2).number += 1
    return box.trace * 100 + u64(box.numbers[1]) * 10 + u64(box.cells[2].number)


def augmented_reads_first() -> u32:
    begin()
    box.numbers[0] = 5
    box.numbers[0] += box.set_number(50)
    return box.numbers[0]


def bits_once() -> u64:
    begin()
    box.words[box.say(1)].low = 7
    box.words[box.say(1)].high += 2
    box.cell(3).word.low |= 5
    return box.trace * 1000 + u64(box.words[1].low) * 100 + u64(box.words[1].high) * 10 + u64(box.cells[3].word.low)


class Counted:
    numbers: array[u32, 4]

    def __getitem__(self, i: u32) -> u32:
        return self.numbers[i]

    def __setitem__(self, i: u32, n: u32) -> None:
        self.numbers[i] = n


counted: Final = Counted()


def items_once() -> u64:
    begin()
    counted[1] = 3
    counted[box.say(1)] += box.say(2)
    counted[box.say(2)] = box.say(4)
    return box.trace * 100 + u64(counted[1]) * 10 + u64(counted[2])


class Holder:
    cell: Cell
    numbers: "Numbers"


class Numbers:
    values: array[u32, 2]


one: Final = Numbers()
two: Final = Numbers()
holder: Final = Holder()


def exchange() -> u32:
    holder.numbers = two
    return 1


def owner_before_index() -> u32:
    one.values[1] = 11
    two.values[1] = 22
    holder.numbers = one
    return holder.numbers.values[exchange()]


def loop_keeps_its_array() -> u32:
    one.values[0] = 1
    one.values[1] = 2
    two.values[0] = 10
    two.values[1] = 20
    holder.numbers = one
    total: u32 = 0
    for n in holder.numbers.values:
        holder.numbers = two
        total += n
    return total


class Access(U8Flag):
    R = 1
    W = 2


def match_flags(raw: u8) -> u32:
    match Access(raw):
        case Access.R:
            return 1
        case Access.W:
            return 2
    return 9


@value
class Entry:
    name: str
    run: Callable[[], u32]


entries: Final = Registry[Entry]()


def empty_registry() -> u32:
    count: u32 = u32(len(entries))
    for _, entry in enumerate(entries):
        count += entry.run() + 1
    for entry in entries:
        count += entry.run() + 1
    return count


T = TypeVar("T")


class Shape(Protocol):
    def area(self) -> u32: ...


class Square(Shape):
    side: u32

    def area(self) -> u32:
        return self.side * self.side


class Crate(Shape, Generic[T]):
    content: T

    def area(self) -> u32:
        return 1000 + u32(self.content)


square: Final = Square()
crate: Final = Crate[u8]()


def area_of(shape: Shape) -> u32:
    return shape.area()


def generic_implementation() -> u32:
    square.side = 3
    crate.content = 7
    return area_of(square) + area_of(crate)


def chosen_shape(which: bool) -> u32:
    square.side = 3
    crate.content = 7
    shape: Shape = square if which else crate
    return shape.area()


def nullable_shape(which: u32) -> u32:
    square.side = 4
    shape: Shape | None = square if which == 1 else None
    if shape is None:
        return 0
    return shape.area()


def default_shape(shape: Shape | None = None) -> u32:
    return 5 if shape is None else shape.area()


def defaults() -> u32:
    square.side = 4
    return default_shape() * 100 + default_shape(square)


@guard
class Mark:
    digit: u32

    def __enter__(self) -> "Mark":
        return self

    def __exit__(self, *_: object) -> None:
        box.say(self.digit)


@raises
def ways_out(way: u32) -> u64:
    for i in range(3):
        with Mark(1):
            with Mark(2):
                if way == 0 and i == 0:
                    continue
                if way == 1 and i == 1:
                    break
                if way == 2:
                    return box.trace
                if way == 3:
                    raise Errno.ENOENT
        box.say(7)
    return box.trace


def leave(way: u32) -> u64:
    begin()
    try:
        result = ways_out(way)
    except Errno as error:
        return box.trace * 10 + u64(error is Errno.ENOENT)
    return result * 1000 + box.trace


def returned_before_release() -> u32:
    begin()
    with Mark(3):
        return box.calls


class Tree:
    items: array[u32, 3]

    def __iter__(self) -> Iterator[u32]:
        seen: u32 = 0
        for item in self.items:
            with Mark(9):
                seen += 1
                yield item * 10 + seen


tree: Final = Tree()


def plant() -> None:
    for i in range(3):
        tree.items[i] = i + 1


def nested_iterators() -> u64:
    begin()
    plant()
    total: u64 = 0
    for a in tree:
        for b in tree:
            if b == 22:
                continue
            if b == 33:
                break
            total += u64(a * 100 + b)
    for a in tree:
        if a == 22:
            return total * 1000 + u64(box.calls)
    return 0


@raises
def raise_in_iterator() -> u64:
    for a in tree:
        if a == 22:
            raise Errno.EIO
    return 0


def raised_in_iterator() -> u64:
    begin()
    plant()
    try:
        return raise_in_iterator()
    except Errno as e:
        return box.trace * 10 + u64(e.code == 5)


def named_like_temporaries(t_1: u32, t_2: u32) -> u32:
    t_3: u32 = box.say(t_1) + box.say(t_2) * box.say(3)
    t_4 = t_3 if t_1 < t_2 else t_2
    x_5: u32 = 0
    for t_6 in tree:
        x_5 += t_6
    return t_4 + x_5 * 0


def narrow_sum(a: u8, b: u8, c: u8) -> bool:
    return a + b > c


def word_product(a: u16, b: u16) -> u16:
    return a * b


def lowest(x: i32) -> i32:
    return x - (-2147483648)


def lowest64(x: i64) -> bool:
    return x == -9223372036854775808


WRAPPED: Final[u8] = 250
MORE: Final[u8] = WRAPPED + 10
TOP: Final[u64] = 0xFFFFFFFFFFFFFFFF
LOWS: Final[array[i64, 2]] = array(-9223372036854775808, -1)


def constants() -> u64:
    return (TOP >> 60) * 100 + u64(MORE)


def low_of(i: u32) -> i64:
    return LOWS[i]


def bound_is_read_once() -> u32:
    n: u32 = 3
    rounds: u32 = 0
    for _ in bounded(n, 10):
        n = 8
        rounds += 1
    return rounds


other_tree: Final = Tree()


def iterated_is_kept() -> u32:
    plant()
    for i in range(3):
        other_tree.items[i] = 90
    walked = tree
    total: u32 = 0
    for item in walked:
        walked = other_tree
        total += item
    return total


def first_digit(text: str) -> u32:
    begin()
    part = text[u64(box.say(1)) : u64(box.say(3))]
    return u32(ord(part[0])) * 100 + u32(box.trace)
