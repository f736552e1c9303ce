# refuse: 6: a field has no default
from hv.lang import u32


class Node:
    id: u32 = 5
