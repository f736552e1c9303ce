# refuse: 8: a Bits class holds fields only: NAME = Field(high, low) or Field(bit)
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    low = Field(7, 0)

    def run(self) -> u32:
        return 1
