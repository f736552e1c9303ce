# refuse: 16: where Cell[u8] is wanted
from hv.lang import Generic, TypeVar, u32, u8, value

T = TypeVar("T")


class Cell(Generic[T]):
    value: T


def g(cell: Cell[u8]) -> None:
    pass


def f(cell: Cell[u32]) -> None:
    g(cell)
