# refuse: 7: Long[u32]: it is said of an integer of 64 bits
from hv.lang import Long, abi, u32


@abi("xen/x.h", "x")
class Request:
    state: Long[u32]
