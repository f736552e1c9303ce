# refuse: 9: Compat[Node]: only a class of integers
from hv.lang import Compat, u32


class Node:
    next: "Node | None"


def f(node: Compat[Node]) -> None:
    pass
