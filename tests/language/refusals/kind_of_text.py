# refuse: 9: str does not convert to Gfn
from hv.lang import NewType, u64


Gfn = NewType("Gfn", u64)


def f(s: str) -> None:
    x = Gfn(s)
