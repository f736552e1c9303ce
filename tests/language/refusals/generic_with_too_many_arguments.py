# refuse: 11: takes 1 arguments between its brackets
from hv.lang import Generic, TypeVar, u32, u8, value

T = TypeVar("T")


class Cell(Generic[T]):
    value: T


def f(cell: Cell[u8, u32]) -> None:
    pass
