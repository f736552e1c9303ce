# refuse: 8: Gfn is wanted
from hv.lang import NewType, u64

Gfn = NewType("Gfn", u64)


def f() -> Gfn:
    return 5
