# refuse: 10: Node has no static method `make`
from hv.lang import u32


class Node:
    id: u32


def f() -> None:
    x = Node.make()
