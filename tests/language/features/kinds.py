"""Kinds: distinct integers over one base."""

from hv.lang import Final, NewType, array, i64, u16, u32, u64, value

Gfn = NewType("Gfn", u64)
Mfn = NewType("Mfn", u64)
Port = NewType("Port", u16)
Ns = NewType("Ns", i64)

NONE: Final = Gfn(0xFFFF_FFFF_FFFF_FFFF)
FIRST: Final[Port] = Port(7)


@value
class Mapping:
    gfn: Gfn
    mfn: Mfn


class Table:
    base: Gfn
    ports: array[Port, 4]

    def index(self, gfn: Gfn) -> u64:
        return gfn - self.base


table: Final = Table()


def plain(x: u64) -> u64:
    return x * 2


def next_frame(gfn: Gfn) -> Gfn:
    return Gfn(gfn + 1)


def calc_arithmetic_gives_the_base(x: u64) -> u64:
    gfn = Gfn(x)
    return plain(gfn) + (gfn - 1) + gfn // 3


def calc_named_again(x: u64) -> u64:
    return next_frame(next_frame(Gfn(x)))


def calc_from_another_kind(x: u64) -> bool:
    mfn = Mfn(x)
    return Gfn(mfn) == Gfn(x)


def calc_order(a: i64, b: i64) -> bool:
    return Ns(a) < Ns(b)


def calc_base_meets_kind(a: u64, b: u64) -> u64:
    return (Gfn(a) ^ b) + (a | Gfn(b))


def calc_narrow_kind_wraps(x: u16) -> u16:
    port = Port(x)
    return port + 65535


def calc_converted_into(x: u32) -> u16:
    return Port(u16(x))


def test_fields_and_records() -> u64:
    table.base = Gfn(10)
    table.base = Gfn(table.base + 5)
    table.ports[2] = FIRST
    table.ports[2] = Port(table.ports[2] * 2)
    mapping = Mapping(Gfn(100), mfn=Mfn(7))
    return table.index(mapping.gfn) * 1000 + u64(table.ports[2]) + mapping.mfn


def test_constant_kinds() -> bool:
    return NONE == Gfn(0 - u64(1)) and FIRST == Port(7)


def test_kinds_in_min() -> u64:
    return u64(min(Gfn(9), Gfn(4))) + max(Mfn(1), Mfn(2))
