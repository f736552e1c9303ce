# refuse: 11: has no parameter `size`
from hv.lang import u64, value


@value
class Range:
    start: u64


def f() -> u64:
    return Range(size=1).start
