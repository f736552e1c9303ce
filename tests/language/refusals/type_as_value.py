# refuse: 10: is not a value
from hv.lang import u32


class Node:
    id: u32


def f() -> None:
    x = Node
