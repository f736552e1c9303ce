# refuse: 6: write a comparison
from hv.lang import u32


def f(n: u32, yes: bool) -> bool:
    return yes and n
