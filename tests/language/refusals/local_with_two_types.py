# refuse: 7: already has the type u32
from hv.lang import u32, u64


def f() -> u32:
    x: u32 = 1
    x: u64 = 2
    return 0
