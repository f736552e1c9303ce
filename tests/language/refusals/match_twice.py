# refuse: 9: is matched twice
from hv.lang import u32


def f(n: u32) -> u32:
    match n:
        case 1:
            return 1
        case 1:
            return 2
        case _:
            return 3
