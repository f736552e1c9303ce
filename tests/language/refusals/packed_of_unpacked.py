# refuse: 12: in a class marked @packed: it holds integers, kinds, Bits, and arrays and packed classes
from hv.lang import embedded, packed, u32


@embedded
class Node:
    id: u32


@packed
class Head:
    node: Node
