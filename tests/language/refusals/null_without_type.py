# refuse: 10: needs a type
from hv.lang import u32


class Node:
    id: u32


def f() -> None:
    n = None
