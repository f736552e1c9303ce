# refuse: 6: `popcount` takes 1 argument
from hv.lang import popcount, u32


def f(n: u32) -> None:
    x = popcount(n, n)
