# refuse: 10: Node is no guard: declare `__enter__` and `__exit__`
from hv.lang import u32


class Node:
    id: u32


def f(node: Node) -> None:
    with node:
        pass
