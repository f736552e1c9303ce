# refuse: 8: is not u64
from hv.lang import NewType, u32, u64

Gfn = NewType("Gfn", u64)


def f(n: u32) -> Gfn:
    return Gfn(n)
