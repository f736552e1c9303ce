# refuse: 7: a @union is no @value
from hv.lang import u32, union, value


@union
@value
class Word:
    x: u32
