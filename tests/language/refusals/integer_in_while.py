# refuse: 7: write a comparison
from hv.lang import u32, unbounded


@unbounded("ends")
def f(n: u32) -> None:
    while n:
        n -= 1
