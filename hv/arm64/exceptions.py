"""Faults of the hypervisor itself: each is the end, with registers, reason and a backtrace.

The stubs are in boot/arm64/vectors.S. Checks that the C compiler puts in end in boot/arm64/checks.S with BRK 0x5500 and
the number of the check; the traps that our own compiler uses for values that do not fit are BRK 1.
"""

from hv.arm64.layout import STACK_SIZE, STACK_SLOT, STACKS, in_stubs, in_text
from hv.arm64.syndrome import (
    BREAKPOINT_INSTRUCTION,
    INSTRUCTION_ABORT,
    Syndrome,
    fault_in_words,
    is_abort,
    is_write,
    kind_in_words,
)
from hv.common.kernel.checks import STACK_PROTECTOR, VALUE_OUT_OF_RANGE, check_in_words, unset_in_words
from hv.common.kernel.panic import MachineState, line, trapped
from hv.config import CONFIG_NR_CPUS
from hv.lang import (
    Embedded,
    Final,
    Message,
    Never,
    PerCpu,
    aligned,
    array,
    assembly_layout,
    export,
    symbol,
    u8,
    u32,
    u64,
)

PER_LINE: Final = 4
EMERGENCY_SIZE: Final = 0x2000

TRAP: Final[u64] = 1  # BRK's immediate
CANARY: Final[u64] = 0x5400
CHECKS: Final[u64] = 0x5500


@assembly_layout
class FaultFrame(MachineState):
    """What the stub stores."""

    x: array[u64, 31]
    sp: u64
    pc: u64
    pstate: u64
    syndrome: u64
    address: u64
    guest_address: u64
    vector: u64  # the entry's number in the table

    def end(self, message: Message) -> Never:
        """When a check called its handler, or the code went astray, the backtrace begins with where it came from: the
        link register. A stub in assembly that accesses memory has no frame record; its caller is there, too."""
        called = not in_text(self.pc) or symbol("checks_start") <= self.pc < symbol("checks_end")
        if called:
            trapped(message, self, self.x[30] - 4, self.x[29])
        trapped(message, self, self.pc, self.x[29], self.x[30] if in_stubs(self.pc) else 0)

    def print(self) -> None:
        line(f"  pc {self.pc:016x} sp {self.sp:016x} pstate {self.pstate:08x}")
        line(f"  esr {self.syndrome:08x} far {self.address:016x} hpfar {self.guest_address:016x}")
        for i in range(7):
            at = u32(i) * PER_LINE
            line(f"  x{at} {self.x[at]:016x} {self.x[at + 1]:016x} {self.x[at + 2]:016x} {self.x[at + 3]:016x}")
        line(f"  x28 {self.x[28]:016x} {self.x[29]:016x} {self.x[30]:016x}")


@assembly_layout
@aligned(16)
class Emergency(PerCpu):
    """Where a fault goes whose own stack cannot be used. `taken`: a second one stops the CPU."""

    taken: u64
    unused: u64
    stack: array[u8, EMERGENCY_SIZE]
    frame: Embedded[FaultFrame]


@export
def hypervisor_fault(frame: FaultFrame) -> None:
    """Called by the stub, which takes whatever happens in EL2 and is no interrupt. Does not return."""
    syndrome = Syndrome(frame.syndrome)
    match frame.vector:
        case 4:
            synchronous(frame, syndrome)
        case 7:
            frame.end(f"SError in the hypervisor: the machine reports a failed access, syndrome {syndrome.iss:#x}")
        case 6 | 10 | 14:
            frame.end("FIQ, though no interrupt is of group 0")
        case _:
            frame.end(f"exception through vector {frame.vector}, which is not in use")


def synchronous(frame: FaultFrame, syndrome: Syndrome) -> Never:
    kind = kind_in_words(syndrome)
    if is_abort(syndrome):
        if overflowed(frame.sp):
            frame.end("stack overflow")
        unset = unset_in_words(frame.address)
        if syndrome.kind == INSTRUCTION_ABORT:
            frame.end(f"{kind}: {fault_in_words(syndrome)} at {frame.address:#x}{unset}")
        access = "write" if is_write(syndrome) else "read"
        frame.end(f"{kind}: {fault_in_words(syndrome)}, {access} at {frame.address:#x}{unset}")
    if syndrome.kind == BREAKPOINT_INSTRUCTION:
        frame.end(f"{trap_in_words(syndrome.iss & 0xFFFF)}")
    frame.end(f"{kind}")


def overflowed(sp: u64) -> bool:
    """Whether the stack pointer has run out of a slot's mapped half."""
    offset = sp - STACKS
    return offset < STACK_SLOT * CONFIG_NR_CPUS and offset % STACK_SLOT < STACK_SLOT - STACK_SIZE + 512


def trap_in_words(code: u64) -> str:
    """Of a BRK's immediate."""
    if code == TRAP:
        return VALUE_OUT_OF_RANGE
    if code == CANARY:
        return STACK_PROTECTOR
    return check_in_words(code - CHECKS) if code >= CHECKS else "breakpoint instruction"
