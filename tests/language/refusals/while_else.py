# refuse: 7: a loop has no `else`
from hv.lang import u32, unbounded


@unbounded("ends")
def f(n: u32) -> u32:
    while n != 0:
        n -= 1
    else:
        return 1
    return 0
