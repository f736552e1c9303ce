# refuse: 15: attach_percpu stands alone in a function that assembly calls
# module: program
# target: arm64
from hv.lang import PerCpu, attach_percpu, export, u32


class Cpu(PerCpu):
    id: u32


@export
def begin(cpu: u32) -> None:
    """Its first statement may be done after it reads where the area lies."""

    attach_percpu(cpu)
    Cpu.this().id = cpu
