# refuse: 10: only orderings can be chained
from hv.lang import u32


class Node:
    id: u32


def f(a: Node, b: Node) -> bool:
    return a is b is a
