# refuse: 10: `Node.id` is not a value
from hv.lang import u32


class Node:
    id: u32


def f() -> u32:
    return Node.id
