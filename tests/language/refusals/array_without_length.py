# refuse: 6: an array has a type and a length
from hv.lang import array, u32


class Node:
    items: array[u32]
