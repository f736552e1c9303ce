"""The part of a vCPU's state that every exit saves and every entry restores (boot/arm64/vectors.S).

While the guest runs, SP_EL2 is the address of its context, so the stub needs no scratch register to find it. All other
state (EL1 system registers, FP and SIMD, timers, list registers) stays in the hardware until another vCPU is loaded.
"""

from hv.lang import Final, aligned, array, assembly_layout, u64

SINGLE_STEP: Final[u64] = 1 << 21  # of PSTATE: the next instruction is performed before an exception tells of the step


@assembly_layout
@aligned(16)
class VcpuContext:
    x: array[u64, 31]
    pc: u64  # ELR_EL2
    pstate: u64  # SPSR_EL2
    stack: u64  # the CPU's empty stack, which the stub switches to; written on each entry

    def advance(self, length: u64) -> None:
        """Behind an instruction of so many bytes that trapped, and was performed in the guest's place. To a debugger
        it is one step as any other (Arm DDI 0487, D2.12.4).
        """
        self.pc += length
        self.pstate &= ~SINGLE_STEP
