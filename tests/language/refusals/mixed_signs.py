# refuse: 6: u32 and i32 in one operation
from hv.lang import i32, u32


def f(a: u32, b: i32) -> bool:
    return a < b
