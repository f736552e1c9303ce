# refuse: 11: a case is a constant or an enum member
from hv.lang import u32


class Node:
    id: u32


def f(n: u32, other: Node) -> None:
    match n:
        case other.id:
            pass
