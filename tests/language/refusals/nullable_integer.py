# refuse: 6: only references may be null
from hv.lang import u32


class Node:
    id: u32 | None
