# refuse: 11: `node: Node` in a class marked @packed
from hv.lang import packed, u32


class Node:
    id: u32


@packed
class Head:
    node: Node
