# refuse: 12: needs `end`
from hv.lang import u64, value


@value
class Range:
    start: u64
    end: u64


def f() -> u64:
    return Range(1).start
