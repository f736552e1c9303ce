# refuse: 6: 300 does not fit u8
from hv.lang import U8Enum


class State(U8Enum):
    FREE = 300
