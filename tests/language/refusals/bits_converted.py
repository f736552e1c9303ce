# refuse: 10: write register.raw
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    low = Field(7, 0)


def f(register: Register) -> u32:
    return u32(register)
