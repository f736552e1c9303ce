# refuse: 5: needs the reason
from hv.lang import u32, unbounded


@unbounded
def f(n: u32) -> u32:
    while n != 0:
        n -= 1
    return n
