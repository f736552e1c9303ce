# refuse: 11: Range takes each of its fields once: start, end
from hv.lang import Final, u32, value


@value
class Range:
    start: u32
    end: u32


range: Final = Range(5)
