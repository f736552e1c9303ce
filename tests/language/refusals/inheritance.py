# refuse: 9: is no base
from hv.lang import u32


class Node:
    id: u32


class Leaf(Node):
    size: u32
