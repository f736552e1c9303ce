# refuse: 10: does not fit the field
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    low = Field(7, 0)


def f() -> u32:
    return Register(low=256).raw
