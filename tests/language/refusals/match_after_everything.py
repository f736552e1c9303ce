# refuse: 9: no case can follow `case _`
from hv.lang import u32


def f(n: u32) -> u32:
    match n:
        case 1 | _:
            return 2
        case 3:
            return 1
