# refuse: 11: never assigned
from hv.lang import u64, value


@value
class Range:
    start: u64


def f(range: Range) -> None:
    range.start += 5
