# refuse: 11: Embedded[Range]: only a class of references can be embedded
from hv.lang import Embedded, u32, value


@value
class Range:
    start: u32


class Owner:
    range: Embedded[Range]
