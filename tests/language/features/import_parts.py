"""What imports.py imports."""

from hv.lang import Final, U8Enum, array, u32, u64

LIMIT: Final = 30
current: u32 = 1


class Shape(U8Enum):
    SQUARE = 4
    ROUND = 5


class Thing:
    size: u32

    def grow(self, by: u32) -> None:
        self.size += by


shapes: Final[array[Shape, 2]] = array(Shape.SQUARE, Shape.ROUND)
thing: Final = Thing()


def total(a: u64, b: u64) -> u64:
    return a * 10 + b


def make(x: u32) -> None:
    global current
    current = x


def chosen() -> Shape:
    return Shape.ROUND


def test_start() -> u64:
    return u64(current) + u64(chosen())
