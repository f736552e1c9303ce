"""The part of a vCPU's state that every exit saves and every entry restores (boot/arm64/vectors.S).

While the guest runs, SP_EL2 is the address of its context, so the stub needs no scratch register to find it. All other
state (EL1 system registers, FP and SIMD, timers, list registers) stays in the hardware until another vCPU is loaded.
"""

from hv.lang import Final, aligned, array, assembly_layout, u64

SINGLE_STEP: Final[u64] = 1 << 21  # of PSTATE: the next instruction is performed before an exception tells of the step
AARCH32: Final[u64] = 1 << 4
IT_HIGH: Final = 10  # where PSTATE has bits 7 to 2 of ITSTATE, the conditions of instructions to come
IT_LOW: Final = 25  # and bits 1 and 0
IT_BITS: Final[u64] = 0x3F << IT_HIGH | 3 << IT_LOW


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
        if self.pstate & AARCH32 != 0:
            self._advance_conditions()

    def _advance_conditions(self) -> None:
        """Of an IT block in EL0: its next instruction has the next condition (ITAdvance, J1.2.3)."""
        left = self.pstate >> IT_HIGH << 2 & 0xFC | self.pstate >> IT_LOW & 3
        after = 0 if left & 7 == 0 else left & 0xE0 | left << 1 & 0x1F
        self.pstate = self.pstate & ~IT_BITS | after >> 2 << IT_HIGH | (after & 3) << IT_LOW
