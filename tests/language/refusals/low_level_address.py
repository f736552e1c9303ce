# refuse: 11: `address_of` is a low-level word
# module: hv.example
from hv.lang import address_of, u32, u64


class Node:
    id: u32


def f(node: Node) -> u64:
    return address_of(node)
