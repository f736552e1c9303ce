# refuse: 6: a field of 12 bits does not lie in u8
from hv.lang import Bits, Field, u8, u32


class Register(Bits[u32]):
    low = Field(11, 0, of=u8)
