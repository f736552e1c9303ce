# refuse: 6: does not lie in u32
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    high = Field(32)
