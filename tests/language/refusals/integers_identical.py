# refuse: 6: `is` compares references
from hv.lang import u32


def f(a: u32, b: u32) -> bool:
    return a is b
