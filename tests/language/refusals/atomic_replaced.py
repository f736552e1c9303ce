# refuse: 10: lies inside its owner
from hv.lang import Atomic, u32


class Node:
    count: Atomic[u32]


def f(node: Node) -> None:
    node.count = 5
