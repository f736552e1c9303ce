# refuse: 7: a case is a constant
from hv.lang import u32


def f(n: u32) -> u32:
    match n:
        case m:
            return m
