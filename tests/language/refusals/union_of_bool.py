# refuse: 7: `flag: bool` in a class marked @union
from hv.lang import u32, union


@union
class Word:
    flag: bool
