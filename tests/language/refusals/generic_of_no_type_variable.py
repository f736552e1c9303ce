# refuse: 5: Generic takes type parameters: make them by TypeVar
from hv.lang import Generic, u32, value


class Cell(Generic[u32]):
    value: u32
