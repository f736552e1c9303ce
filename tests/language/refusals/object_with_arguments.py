# refuse: 10: takes no arguments
from hv.lang import u32


class Node:
    id: u32


def f() -> None:
    node = Node(5)
