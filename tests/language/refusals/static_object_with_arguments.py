# refuse: 9: a static object starts as zeros
from hv.lang import Final, u32


class Node:
    id: u32


node: Final = Node(5)
