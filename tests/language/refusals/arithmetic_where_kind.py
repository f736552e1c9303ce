# refuse: 8: u64 where Gfn is wanted
from hv.lang import NewType, u64

Gfn = NewType("Gfn", u64)


def f(gfn: Gfn) -> Gfn:
    return gfn + 1
