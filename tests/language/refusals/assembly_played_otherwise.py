# refuse: 11: `hv.x86.cpu.f` has other types
# module: hv.x86.cpu
from hv.lang import asm, export, u32, u64


@asm("nop")
def f(x: u64) -> None: ...


@export
def played_x86_cpu_f(x: u32) -> None:
    pass
