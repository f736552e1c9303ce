# refuse: 6: is not known here
from hv.lang import u32


def f() -> u32:
    return missing
