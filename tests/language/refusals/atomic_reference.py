# refuse: 9: Atomic[Node]: it begins as None; write Atomic[Node | None]
from hv.lang import Atomic

class Node:
    next: "Node | None"


class Slot:
    node: Atomic[Node]
