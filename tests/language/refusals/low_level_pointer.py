# refuse: 7: `ptr` is a low-level word
# module: hv.example
from hv.lang import ptr, u64, u8


def f(address: u64) -> u8:
    return ptr[u8](address)[0]
