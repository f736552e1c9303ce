# refuse: 6: `asm` is a low-level word
# module: hv.example
from hv.lang import asm


@asm("wfi")
def f() -> None: ...
