# refuse: 6: u32 and u64 in one operation
from hv.lang import u32, u64


def f(a: u32, b: u64) -> u64:
    return a + b
