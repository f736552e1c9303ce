# refuse: 6: each result of an @asm has a register, any, or for a bool a condition
# module: hv.arm64.cpu
# target: arm64
from hv.lang import asm, u64

@asm("nop", results="any @eq")
def f(x: u64) -> tuple[u64, u64]: ...
