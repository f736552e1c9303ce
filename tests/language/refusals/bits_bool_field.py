# refuse: 10: u32 where bool is wanted
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    low = Field(0)


def f(register: Register, n: u32) -> u32:
    register.low = n
    return register.raw
