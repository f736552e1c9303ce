# refuse: 10: has no field `middle`
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    low = Field(7, 0)


def f() -> u32:
    return Register(middle=1).raw
