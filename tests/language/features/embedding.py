"""What lies inside its owner: embedded fields, @embedded classes, arrays of objects; sizes and alignment."""

from hv.lang import (
    Atomic,
    Bits,
    Callable,
    Embedded,
    Field,
    Final,
    Protocol,
    U16Enum,
    address_of,
    aligned,
    array,
    embedded,
    size_of,
    u8,
    u16,
    u32,
    u64,
    value,
)


class State(U16Enum):
    ONE = 1


class Flags(Bits[u32]):
    low = Field(7, 0)


class Port(Protocol):
    def send(self, x: u8) -> None: ...


@embedded
class Link:
    next: "Link | None"
    owner: "Timer | None"


@value
class Span:
    start: u64
    length: u16


class Timer:
    link: Link
    deadline: u64
    armed: bool


class Vcpu:
    id: u8
    timer: Embedded[Timer]
    other: Timer
    timers: array[Timer, 3]
    span: Span
    small: array[u8, 5]


class Mixed:
    byte: u8
    state: State
    flags: Flags
    text: str
    port: Port
    function: Callable[[u32], None]
    maybe: Timer | None
    count: Atomic[u16]
    spans: array[Span, 2]


class Nothing:
    pass


@aligned(64)
class Line:
    byte: u8


@aligned(4096)
class Table:
    entries: array[u64, 512]


class Outer:
    flag: bool
    line: Embedded[Line]


vcpu: Final = Vcpu()
timer: Final = Timer()
table: Final = Table()


def rename(link: Link, owner: Timer) -> None:
    link.owner = owner


def test_embedded_fields() -> u64:
    vcpu.timer.deadline = 9
    vcpu.timer.link.owner = timer
    rename(vcpu.timer.link, vcpu.timer)
    owner = vcpu.timer.link.owner
    assert owner is not None
    owner.deadline += 1
    return vcpu.timer.deadline


def test_passed_as_references() -> u64:
    inside = vcpu.timer
    inside.armed = True
    return u64(vcpu.timer.armed) + u64(inside is vcpu.timer) * 2


def test_plain_field_is_a_reference() -> u64:
    timer.deadline = 5
    vcpu.other = timer
    vcpu.other.deadline += 1
    return timer.deadline * 10 + u64(vcpu.other is timer)


def test_arrays_of_objects() -> u64:
    for i, inner in enumerate(vcpu.timers):
        inner.deadline = u64(i) * 10 + 1
    vcpu.timers[1].link.next = vcpu.timers[2].link
    following = vcpu.timers[1].link.next
    return vcpu.timers[0].deadline + vcpu.timers[2].deadline + u64(following is vcpu.timers[2].link) * 1000


def test_records_in_fields() -> u64:
    vcpu.span = Span(5, 6)
    copy = vcpu.span
    vcpu.span = Span(length=8, start=7)
    return copy.start * 1000 + u64(copy.length) * 100 + vcpu.span.start * 10 + u64(vcpu.span.length)


def test_sizes() -> u64:
    return size_of(Link) + size_of(Timer) * 100 + size_of(Span) * 10_000 + size_of(Vcpu) * 1_000_000


def test_mixed_size() -> u64:
    return size_of(Mixed)


def test_aligned_sizes() -> u64:
    return size_of(Line) + size_of(Outer) * 1000 + size_of(Table) * 1_000_000 + size_of(Nothing)


def test_sizes_of_integers() -> u64:
    return size_of(u8) + size_of(u16) * 10 + size_of(u32) * 100 + size_of(u64) * 1000 + size_of(State) * 10_000


def test_alignment() -> u64:
    return address_of(table) % 4096
