# refuse: 10: Register has no field `high`
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    low = Field(7, 0)


def f(r: Register) -> None:
    r.high = 5
