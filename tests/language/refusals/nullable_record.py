# refuse: 11: only references may be null
from hv.lang import u64, value


@value
class Range:
    start: u64


class Node:
    range: Range | None
