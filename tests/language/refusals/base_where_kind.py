# refuse: 8: u64 where Gfn is wanted
from hv.lang import NewType, u64

Gfn = NewType("Gfn", u64)


def f(n: u64) -> Gfn:
    return n
