# refuse: 7: `Atomic` is a low-level word
# module: hv.example
from hv.lang import Atomic, u32


class Lock:
    ticket: Atomic[u32]
