"""@value classes: frozen records that are copied."""

from hv.lang import Errno, Final, Generic, TypeVar, array, raises, u8, u16, u32, u64, value

T = TypeVar("T")


@value
class Range:
    start: u64
    end: u64

    @property
    def length(self) -> u64:
        return self.end - self.start

    def contains(self, x: u64) -> bool:
        return self.start <= x < self.end

    def moved(self, by: u64) -> "Range":
        return Range(self.start + by, self.end + by)

    @staticmethod
    def empty() -> "Range":
        return Range(0, 0)


@value
class Named:
    name: str
    range: Range
    order: u8


@value
class Pair(Generic[T]):
    first: T
    second: T


class Bank:
    range: Range
    ranges: array[Range, 3]
    named: Named


bank: Final = Bank()
DEFAULT: Final = Named("ram", Range(0x4000_0000, 0x8000_0000), 3)


def joined(a: Range, b: Range) -> Range:
    return Range(start=min(a.start, b.start), end=max(a.end, b.end))


@raises
def checked(start: u64, end: u64) -> Range:
    if end < start:
        raise Errno.EINVAL
    return Range(start, end)


def test_made_and_read() -> u64:
    r = Range(5, end=12)
    return r.length * 1000 + r.start * 100 + r.end


def test_passed_and_returned() -> u64:
    r = joined(Range(5, 9), Range(2, 7))
    return r.start * 10 + r.end


def test_stored_copies() -> u64:
    r = Range(1, 2)
    bank.range = r
    bank.ranges[2] = r
    r = Range(3, 4)
    return bank.range.start * 1000 + bank.ranges[2].end * 100 + r.start * 10 + bank.ranges[0].end


def test_nested() -> u64:
    bank.named = DEFAULT
    named = Named(order=1, name="rom", range=bank.named.range.moved(0x1000))
    bank.named = named
    return named.range.length + bank.named.range.start + u64(DEFAULT.order) + len(bank.named.name)


def test_methods_on_results() -> u64:
    return joined(Range(0, 4), Range(8, 16)).moved(1).length + u64(Range.empty().contains(0))


def test_generic_record() -> u64:
    p = Pair[u16](1, 65535)
    q = Pair[Range](Range(1, 2), second=Range(3, 4))
    return u64(p.first + p.second) + q.second.end


def test_starts_as_zeros() -> u64:
    return bank.named.range.end + u64(bank.named.order) + len(bank.named.name)


def test_from_a_raising_function() -> u64:
    total: u64 = 0
    try:
        total += checked(3, 10).length
        total += checked(10, 3).length
    except Errno as e:
        total += u64(u32(e.code)) * 100
    return total


def test_arguments_are_evaluated_in_order() -> u64:
    bank.range = Range(7, 9)
    r = Range(bank.range.start, end=bank.range.end + 1)
    return r.start * 10 + r.end


def calc_contains(a: u64, b: u64, x: u64) -> bool:
    return Range(a, b).contains(x)


def calc_conditional(a: u64, choose: bool) -> u64:
    r = Range(a, 10) if choose else Range(20, a)
    return r.length
