"""The part of a vCPU's state that every exit saves and every entry restores (boot/arm64/vectors.S).

While the guest runs, SP_EL2 is the address of its context, so the stub needs no scratch register to find it. All other
state (EL1 system registers, FP and SIMD, timers, list registers) stays in the hardware until another vCPU is loaded.
"""

from hv.lang import aligned, array, assembly_layout, u64


@assembly_layout
@aligned(16)
class VcpuContext:
    x: array[u64, 31]
    pc: u64  # ELR_EL2
    pstate: u64  # SPSR_EL2
    stack: u64  # the CPU's empty stack, which the stub switches to; written on each entry
