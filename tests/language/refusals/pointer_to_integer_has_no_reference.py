# refuse: 6: only a pointer to a class has a reference
from hv.lang import ptr, u32, u64


def f(address: u64) -> u32:
    return ptr[u32](address).ref()
