# refuse: 7: @asm("instructions")
# module: hv.arm64.cpu
# target: arm64
from hv.lang import asm, u64


@asm(5)
def f() -> None: ...
