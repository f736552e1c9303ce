# refuse: 16: an object on the stack cannot be returned
from hv.lang import embedded, u32


@embedded
class Link:
    id: u32


class Node:
    link: Link


def f() -> Link:
    node = Node()
    return node.link
