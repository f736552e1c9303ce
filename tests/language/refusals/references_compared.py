# refuse: 10: references have no value to compare: write `is`
from hv.lang import u32


class Node:
    id: u32


def f(a: Node, b: Node) -> bool:
    return a == b
