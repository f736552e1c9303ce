"""What a module holds: constants, tables, variables, static objects, aliases."""

from hv.lang import Callable, Final, TypeAlias, array, embedded, u8, u16, u32, u64, value

SMALL: Final = 7
BIG: Final = 0xFFFF_FFFF_FFFF
NEGATIVE: Final = -3
FROM_OTHERS: Final = SMALL * 2 + (1 << 10)
TYPED: Final[u32] = 0xFFFF_FFFF
LAST: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF
CONVERTED: Final = u16(65535)
YES: Final = True
NAME: Final = "table"
NAMES: Final[array[str, 3]] = array("spi", "ppi", "")
PRIMES: Final[array[u16, 5]] = array(2, 3, 5, 7, 65521)

online: u32 = 0
offset: u64 = 5
enabled: bool = True
label: str = "start"
scratch: Final[array[u8, 16]] = array()


@value
class Range:
    start: u64
    end: u64


RANGE: Final = Range(16, end=LAST)
RANGES: Final[array[Range, 2]] = array(Range(1, 2), Range(start=3, end=BIG))


@embedded
class Counter:
    count: u32


class Heap:
    free: u64
    counter: Counter
    next: "Heap | None"


heap: Final = Heap()
counter: Final = Counter()
heaps: Final[array[Heap, 3]] = array()
current: Heap | None = None
handler: Callable[[u32], u32] | None = None

Operation = Callable[[u32], u32]
Table: TypeAlias = array[u32, 4]


class Holder:
    table: Table


holder: Final = Holder()


def add_one(x: u32) -> u32:
    return x + 1


def apply(operation: Operation, x: u32) -> u32:
    return operation(x)


def test_untyped_constants_take_their_context() -> u64:
    a: u8 = SMALL
    b: u16 = SMALL
    c: u64 = BIG
    return u64(a) + u64(b) * 1000 + c + FROM_OTHERS


def test_constants_may_be_negative() -> bool:
    return -10 + NEGATIVE == -13


def test_inverted_literal_takes_a_width() -> u64:
    x: u64 = 0x1234_5678
    return x & ~0xFF


def test_typed_constants_wrap() -> u64:
    return u64(TYPED + 2) + (LAST + 3)


def test_converted_constant_wraps() -> u64:
    return u64(CONVERTED + 5)


def test_bool_constant() -> bool:
    return not YES or enabled


def test_constant_tables() -> u64:
    total: u64 = 0
    for prime in PRIMES:
        total = total * 3 + u64(prime)
    for name in NAMES:
        total += len(name)
    return total + len(NAME) + u64(ord(NAMES[1][0]))


def calc_table(i: u32) -> u64:
    return u64(PRIMES[i])


def test_constant_records() -> u64:
    return RANGE.end - RANGE.start + RANGES[1].end + RANGES[0].start


def test_variables_change() -> u64:
    global online, offset, enabled, label
    online += 3
    online = online * 2
    offset -= 6
    enabled = not enabled
    label = "end of it"
    return u64(online) ^ offset ^ u64(enabled) ^ len(label)


def test_variables_start_as_written() -> u64:
    return u64(online) + offset + u64(enabled) + len(label)


def test_static_objects_start_as_zeros() -> u64:
    return heap.free + u64(heap.counter.count) + u64(counter.count) + u64(heap.next is None)


def test_static_objects_keep_what_is_stored() -> u64:
    heap.free = 40
    heap.counter.count += 2
    heaps[2].free = 7
    heaps[2].next = heap
    following = heaps[2].next
    assert following is not None
    following.free += 1
    return heap.free * 100 + heaps[2].free * 10 + u64(heap.counter.count)


def test_static_table_of_integers() -> u64:
    scratch[3] = 250
    scratch[3] += 10
    return u64(scratch[3]) * 10 + u64(scratch[15])


def calc_scratch(i: u32, x: u8) -> u64:
    scratch[i] = x
    return u64(scratch[i])


def test_null_variable_takes_a_reference() -> u64:
    global current
    before = current is None
    current = heap
    if current is None:
        return 0
    current.free = 9
    return heap.free + u64(before) * 100


def test_function_variable() -> u64:
    global handler
    if handler is None:
        handler = add_one
    chosen = handler
    return u64(chosen(41)) + u64(apply(add_one, 0xFFFF_FFFF))


def test_alias_of_a_type() -> u64:
    holder.table[3] = 12
    return u64(holder.table[3]) + len(holder.table)
