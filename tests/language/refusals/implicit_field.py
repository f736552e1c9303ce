# refuse: 10: u64 where u32 is wanted
from hv.lang import u32, u64


class Node:
    id: u32


def f(node: Node, a: u64) -> None:
    node.id = a
