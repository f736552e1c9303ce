"""Parameters: defaults, names, order; local names."""

from hv.lang import Final, U8Enum, U8Flag, apart, rarely, u8, u16, u32, u64

DEFAULT: Final = 12
WIDE: Final[u16] = 65535


class Mode(U8Enum):
    SLOW = 0
    FAST = 1


class Access(U8Flag):
    R = 1
    W = 2


class Node:
    id: u32


node: Final = Node()


def many(a: u32, b: u8 = 5, c: u64 = DEFAULT * 2, d: bool = True) -> u64:
    return u64(a) * 1_000_000 + u64(b) * 10_000 + c * 10 + u64(d)


def defaults(mode: Mode = Mode.FAST, access: Access = Access(0), name: str = "abc", maybe: Node | None = None) -> u64:
    return u64(mode) + u64(access) * 10 + len(name) * 100 + u64(maybe is None) * 1000


def typed(wide: u16 = WIDE, minus: u32 = 0xFFFF_FFFF) -> u64:
    return u64(wide + 2) + u64(minus + 3)


def reassigned(n: u32) -> u32:
    n += 5
    n = n * 2
    return n


def reserved(int: u32, long: u64, signed: u8, object: u16) -> u64:
    return u64(int) + long + u64(signed) + u64(object)


def test_defaults() -> u64:
    return many(1) + many(2, 3) + many(3, d=False) + many(4, c=1)


def test_names_in_any_order() -> u64:
    return many(d=False, c=7, b=1, a=9)


def test_defaults_of_many_types() -> u64:
    return defaults() + defaults(Mode.SLOW, maybe=node) * 10_000 + defaults(name="", access=Access.R | Access.W)


def test_typed_defaults() -> u64:
    return typed() + typed(minus=1)


def test_parameters_are_locals() -> u64:
    n: u32 = 3
    return u64(reassigned(n)) * 10 + u64(n)


def test_words_of_c_are_names() -> u64:
    register: u32 = 3
    volatile = register + 1
    return reserved(register, 5, u8(volatile), object=9)


def calc_reassigned(n: u32) -> u32:
    return reassigned(n)


@rarely
def seldom(x: u64) -> u64:
    return x * 3


@apart
def often(x: u64) -> u64:
    return x + 1


def test_functions_out_of_line() -> u64:
    return seldom(often(seldom(5)))
