# refuse: 11: is generic: write
from hv.lang import Generic, TypeVar, value

T = TypeVar("T")


class Cell(Generic[T]):
    value: T


def f(cell: Cell) -> None:
    pass
