# refuse: 7: `x='rax'`: on x86 a parameter or `result` may be tied to
# module: hv.arm64.cpu
# target: arm64
from hv.lang import asm, u64


@asm("nop", x="rax")
def f(x: u64) -> None: ...
