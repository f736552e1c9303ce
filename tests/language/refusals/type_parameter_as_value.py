# refuse: 11: a type is not a value
from hv.lang import Generic, TypeVar, u32

T = TypeVar("T")


class Cell(Generic[T]):
    item: T

    def f(self) -> u32:
        return T


def g(cell: Cell[u32]) -> u32:
    return cell.f()
