# refuse: 6: a local needs a value
from hv.lang import u32


def f() -> u32:
    x: u32
    return 0
