# refuse: 9: `other` is no constant Node
from hv.lang import Final, u32


class Node:
    id: u32


here: Node = other
