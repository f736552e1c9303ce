# refuse: 10: bool(…) takes an integer or flags: write a comparison, such as `is not None`
from hv.lang import u32


class Node:
    id: u32


def f(node: Node) -> None:
    x = bool(node)
