# refuse: 10: a record is wanted: write `Range(…)`
from hv.lang import Final, array, u32, value


@value
class Range:
    start: u32


TABLE: Final[array[Range, 1]] = array(5)
