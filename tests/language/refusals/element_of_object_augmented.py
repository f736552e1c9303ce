# refuse: 13: Table has no `__getitem__`
from hv.lang import u32


class Table:
    sum: u32

    def __setitem__(self, i: u32, x: u32) -> None:
        self.sum = x


def f(table: Table) -> None:
    table[1] += 5
