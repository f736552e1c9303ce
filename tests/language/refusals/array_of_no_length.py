# refuse: 6: length is a positive constant
from hv.lang import array, u32


class Node:
    items: array[u32, 0]
