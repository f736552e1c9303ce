"""Exceptions that the hypervisor lets a guest take, as its own CPU would (Arm DDI 0487, D1.3, AArch64.TakeException).

The vCPU is loaded: its EL1 registers are the hardware's.
"""

from hv.arm64.context import VcpuContext
from hv.arm64.el1 import (
    ALL_MASKED,
    EL1,
    ELR_EL1,
    ESR_EL1,
    FAR_EL1,
    SCTLR_EL1,
    SPSR_EL1,
    VBAR_EL1,
    Pstate,
    SystemControl,
)
from hv.arm64.syndrome import GUEST_DATA_ABORT, GUEST_INSTRUCTION_ABORT, UNKNOWN, Syndrome
from hv.lang import Final, u64

EXTERNAL: Final[u64] = 0x10  # fault status: synchronous external abort
EXTERNAL_ON_WALK: Final[u64] = 0x14  # the same on a table walk, plus the level
WRITE: Final[u64] = 1 << 6
CACHE_MAINTENANCE: Final[u64] = 1 << 8
SAME_LEVEL: Final[u64] = 1  # added to an abort's kind

FROM_SAME_SP0: Final[u64] = 0x000  # offsets into the vectors
FROM_SAME: Final[u64] = 0x200
FROM_LOWER: Final[u64] = 0x400
FROM_LOWER_AARCH32: Final[u64] = 0x600

KEPT: Final[u64] = 0xF100_0000  # of PSTATE: the condition flags, and DIT
PAN: Final[u64] = 1 << 22


def inject_undefined(context: VcpuContext) -> None:
    """What an instruction raises that the CPU does not have."""
    take_exception(context, Syndrome(kind=UNKNOWN, long_instruction=True))


def inject_data_abort(context: VcpuContext, syndrome: Syndrome, address: u64, status: u64) -> None:
    """`status` is EXTERNAL, or EXTERNAL_ON_WALK with a level; the rest is that of the abort which came to the
    hypervisor.
    """
    iss = syndrome.iss & (WRITE | CACHE_MAINTENANCE) | status
    kind = GUEST_DATA_ABORT + same_level(context)
    FAR_EL1.write(address)
    take_exception(context, Syndrome(kind=kind, long_instruction=syndrome.long_instruction, iss=iss))


def inject_instruction_abort(context: VcpuContext, address: u64, status: u64) -> None:
    FAR_EL1.write(address)
    kind = GUEST_INSTRUCTION_ABORT + same_level(context)
    take_exception(context, Syndrome(kind=kind, long_instruction=True, iss=status))


def same_level(context: VcpuContext) -> u64:
    return SAME_LEVEL if Pstate(context.pstate).level == EL1 else 0


def take_exception(context: VcpuContext, syndrome: Syndrome) -> None:
    """A synchronous exception to EL1."""
    before = Pstate(context.pstate)
    control = SystemControl(SCTLR_EL1.read())
    after = Pstate(context.pstate & KEPT)
    after.stack_own = True
    after.level = EL1
    after.masks = ALL_MASKED
    after.privileged_access_never = before.privileged_access_never or not control.span
    after.speculative_store_safe = control.dssbs
    ESR_EL1.write(syndrome.raw)
    SPSR_EL1.write(context.pstate)
    ELR_EL1.write(context.pc)
    context.pstate = after.raw
    context.pc = VBAR_EL1.read() + vector_of(before)


def vector_of(before: Pstate) -> u64:
    if before.level == EL1:
        return FROM_SAME if before.stack_own else FROM_SAME_SP0
    return FROM_LOWER_AARCH32 if before.aarch32 else FROM_LOWER
