# refuse: 6: `ptr` is a low-level word
# module: hv.example
from hv.lang import ptr, u8


def f(p: ptr[u8]) -> None:
    pass
