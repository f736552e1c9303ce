# refuse: 7: the words of an @asm are constants: @asm("…", pure=True, changes="…", parameter="register")
# module: hv.arm64.cpu
# target: arm64
from hv.lang import asm, u64


@asm("nop", pure=not True)
def f(x: u64) -> None: ...
