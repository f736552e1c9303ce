# refuse: 13: Mfn where Gfn is wanted
from hv.lang import NewType, u64

Gfn = NewType("Gfn", u64)
Mfn = NewType("Mfn", u64)


def g(gfn: Gfn) -> None:
    pass


def f(mfn: Mfn) -> None:
    g(mfn)
