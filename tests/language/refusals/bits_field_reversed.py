# refuse: 6: the higher bit stands first
from hv.lang import Bits, Field, u32


class Register(Bits[u32]):
    low = Field(0, 7)
