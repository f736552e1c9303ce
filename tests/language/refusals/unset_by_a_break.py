# refuse: 15: `found` may be unset here
from hv.lang import u32, unbounded


@unbounded("it ends at 8")
def f(n: u32) -> u32:
    i: u32 = 0
    while True:
        if i == 8:
            break
        found = i
        if i == n:
            break
        i += 1
    return found
