# refuse: 13: Atomic[Node | None] has no `add`: a reference is loaded, stored and exchanged
from hv.lang import Atomic


class Node:
    next: "Node | None"


class Slot:
    node: Atomic[Node | None]

def f(slot: Slot, node: Node) -> None:
    slot.node.add(node)
