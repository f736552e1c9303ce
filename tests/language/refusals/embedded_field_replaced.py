# refuse: 15: lies inside its owner and cannot be replaced
from hv.lang import embedded, u32


@embedded
class Link:
    id: u32


class Node:
    link: Link


def f(node: Node, link: Link) -> None:
    node.link = link
