# refuse: 6: bool
from hv.lang import u32


def f(yes: bool) -> u32:
    return yes
