# refuse: 5: Generic takes names made by TypeVar
from hv.lang import Generic, u32, value


class Cell(Generic[u32]):
    value: u32
