# refuse: 6: tuple[u32, u32] cannot be stored: declare a @value class
from hv.lang import u32


class Holder:
    both: tuple[u32, u32]
