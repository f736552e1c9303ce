"""A class with static methods as a generic argument, resolved at build time."""

from hv.lang import Const, Final, Generic, Protocol, TypeVar, embedded, u32, u64


class Format(Protocol):
    @staticmethod
    def encode(frame: u64, writable: bool) -> u64: ...

    @staticmethod
    def levels() -> u32: ...


class Long(Format):
    @staticmethod
    def encode(frame: u64, writable: bool) -> u64:
        return frame << 12 | u64(writable)

    @staticmethod
    def levels() -> u32:
        return 4


class Short(Format):
    @staticmethod
    def encode(frame: u64, writable: bool) -> u64:
        return frame << 10 | u64(not writable) << 1

    @staticmethod
    def levels() -> u32:
        return 2


F = TypeVar("F", bound=Format)


@embedded
class Table(Generic[F]):
    format: Const[F]
    last: u64

    def map(self, frame: u64, writable: bool) -> u32:
        self.last = self.format.encode(frame, writable)
        return self.format.levels()


long: Final = Table[Long]()
short: Final = Table[Short]()


def test_each_has_its_format() -> u64:
    levels = long.map(5, True) * 10 + short.map(5, False)
    return long.last * 1_000_000 + short.last * 100 + u64(levels)


def calc_encode(frame: u64, writable: bool) -> u64:
    long.map(frame, writable)
    short.map(frame, not writable)
    return long.last ^ short.last
