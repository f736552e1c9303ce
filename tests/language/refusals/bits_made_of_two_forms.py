# refuse: 10: Register(raw), or Register(field=…, …)
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    low = Field(7, 0)


def f() -> None:
    x = Register(5, low=3)
