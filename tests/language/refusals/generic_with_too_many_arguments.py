# refuse: 11: `Cell` takes 1 arguments in brackets: one for each parameter
from hv.lang import Generic, TypeVar, u32, u8, value

T = TypeVar("T")


class Cell(Generic[T]):
    value: T


def f(cell: Cell[u8, u32]) -> None:
    pass
