# refuse: 9: do not mix
from hv.lang import NewType, u64

Gfn = NewType("Gfn", u64)
Mfn = NewType("Mfn", u64)


def f(gfn: Gfn, mfn: Mfn) -> bool:
    return gfn == mfn
