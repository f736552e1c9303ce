# refuse: 10: 256 does not fit the field
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    low = Field(7, 0)


def f(r: Register) -> None:
    r.low = 256
