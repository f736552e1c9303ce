# refuse: 11: `items` of a record that is copied cannot be array[u32, 2]
from hv.lang import array, u32, value


@value
class Range:
    items: array[u32, 2]


def f() -> None:
    x = Range(5)
