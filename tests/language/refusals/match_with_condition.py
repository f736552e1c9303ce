# refuse: 7: put the condition inside
from hv.lang import u32


def f(n: u32) -> u32:
    match n:
        case 1 if n > 0:
            return 1
        case _:
            return 2
