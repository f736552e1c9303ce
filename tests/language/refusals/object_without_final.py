# refuse: 9: write `node: Final = Node()`
from hv.lang import u32


class Node:
    id: u32


node: Node = Node()
