# refuse: 6: u32 where u64 is wanted: write u64(…)
from hv.lang import u32, u64


def f(a: u32) -> u64:
    return a
