# refuse: 9: Gfn(…) converts one value
from hv.lang import NewType, u64


Gfn = NewType("Gfn", u64)


def f(n: u64) -> None:
    x = Gfn(n, n)
