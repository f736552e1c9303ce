"""Flags: sets of bits by name."""

from hv.lang import Final, U8Flag, U16Flag, U32Flag, U64Flag, array, u8, u32, u64


class Access(U8Flag):
    R = 1
    W = 2
    X = 4


class Feature(U32Flag):
    LOW = 1
    HIGH = 0x8000_0000


class Wide(U64Flag):
    TOP = 0x8000_0000_0000_0000
    BOTTOM = 1


class Half(U16Flag):
    A = 0x100
    B = 0x8000


READ_WRITE: Final = Access.R | Access.W


class Page:
    access: Access
    features: array[Feature, 2]


page: Final = Page()


def granted(wanted: Access, has: Access = Access.R) -> bool:
    return wanted in has


def calc_operations(a: u8, b: u8) -> u64:
    x = Access(a)
    y = Access(b)
    return u64(x | y) * 0x100_0000 + u64(x & y) * 0x1_0000 + u64(x ^ y) * 0x100 + u64(~x)


def calc_inclusion(a: u8, b: u8) -> u64:
    x = Access(a)
    y = Access(b)
    return u64(x in y) + u64(Access.R in x) * 2 + u64(Access.W not in y) * 4


def test_empty() -> u64:
    nothing = Access(0)
    return u64(nothing) + u64(nothing in Access.R) * 10 + u64(bool(nothing)) * 100


def test_all_in_both() -> u64:
    return u64(READ_WRITE in (Access.R | Access.W | Access.X)) + u64(READ_WRITE in Access.R) * 2


def test_equality() -> bool:
    x = Access.R
    x |= Access.W
    return x == READ_WRITE and x != Access.W


def test_taken_away() -> u64:
    access = READ_WRITE
    access &= ~Access.W
    return u64(access)


def test_wide_bits() -> u64:
    return u64(Wide.TOP | Wide.BOTTOM) + u64(Feature.HIGH) + u64(Half.A | Half.B)


def test_fields() -> u64:
    start = u64(page.access) + u64(page.features[1])
    page.access |= Access.X
    page.features[1] = Feature.HIGH | Feature.LOW
    page.features[1] &= ~Feature.LOW
    return start + u64(page.access) + u64(page.features[1])


def test_default_argument() -> u64:
    return u64(granted(Access.R)) + u64(granted(Access.W)) * 2 + u64(granted(Access.W, READ_WRITE)) * 4


def test_inverted_constant() -> u64:
    return u64(~(Access.R | Access.X)) + u64(u32(~Feature.LOW))


def trap_unknown_bit() -> u64:
    x: u8 = 8
    return u64(Access(x))
