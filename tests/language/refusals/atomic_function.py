# refuse: 6: Atomic[Callable[[u32], None] | None]: one word holds an integer, or a reference to a class
from hv.lang import Atomic, Callable, u32


class Slot:
    run: Atomic[Callable[[u32], None] | None]
