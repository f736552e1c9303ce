# refuse: 10: has no method `run`
from hv.lang import u32


class Node:
    id: u32


def f(node: Node) -> None:
    node.run()
