# refuse: 10: `for x in …`, or `for i, x in enumerate(…)`
from hv.lang import array, u32


class Table:
    items: array[u32, 2]


def f(table: Table) -> None:
    for i, j in table.items:
        pass
