# refuse: 5: has no type: annotate it
from hv.lang import u32


def f(n) -> u32:
    return 0
