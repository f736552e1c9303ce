# refuse: 8: an enum holds members only: NAME = number
from hv.lang import U8Enum, u8


class State(U8Enum):
    FREE = 0

    def next(self) -> u8:
        return 1
