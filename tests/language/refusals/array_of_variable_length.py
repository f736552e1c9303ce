# refuse: 8: is not a constant
from hv.lang import array, u32

length: u32 = 5


class Node:
    items: array[u32, length]
