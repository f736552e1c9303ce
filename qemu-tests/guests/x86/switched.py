"""A unikernel whose two CPUs give way again and again, and look whether what is theirs is still there: for tests in
which many vCPUs share a CPU.

Each has its own XCR0, where the CPU has XSAVE, its own TSC_AUX, and a mark in memory, whose address is the same in each
guest. `DONE NAME fail`, NAME from the number: it found another's.

Words of the command line: number=N, which differs from guest to guest; rounds=N; invalid=1: in place of all that it
asks its CPU for a state that none can be in, which a CPU refuses by an exception, and QEMU does not.
"""

from guests.x86.lib.arguments import argument
from guests.x86.lib.cpu import (
    allow_xsave,
    cpuid,
    processor,
    read_cr0,
    read_xcr0,
    write_cr0,
    write_msr,
    write_xcr0,
)
from guests.x86.lib.hypercall import POWER_OFF, SCHED_OP, end, hypercall
from guests.x86.lib.interrupts import fill_table, taken
from guests.x86.lib.secondary import start_other
from guests.x86.lib.text import line
from hv.lang import Final, address_of, array, export, ptr, u32, u64, unbounded

YIELD: Final[u64] = 0
TSC_AUX: Final[u32] = 0xC000_0103
HAS_XSAVE: Final[u32] = 1 << 26  # CPUID.01H:ECX
HAS_RDTSCP: Final[u32] = 1 << 27  # CPUID.80000001H:EDX
COMPONENTS: Final[array[u32, 3]] = array(0b1, 0b11, 0b111)
NOT_WRITE_THROUGH: Final[u64] = 1 << 29  # CR0.NW, which is not valid without CD
PROTECTION: Final[u64] = 13
ROUNDS: Final[u64] = 200


class State:
    number: u64
    rounds: u64
    xsave: bool
    components: u32  # that XCR0 may have
    rdtscp: bool
    second: u32  # 1: done, 2: failed


state: Final = State()
marks: Final[array[u64, 2]] = array()


@export
@unbounded("until the other CPU is done")
def guest_main(information: u64) -> None:
    state.number = argument(information, "number", 1)
    state.rounds = argument(information, "rounds", ROUNDS)
    if argument(information, "invalid", 0) != 0:
        break_registers()
    _, _, ecx, _ = cpuid(1, 0)
    state.xsave = ecx & HAS_XSAVE != 0
    _, _, _, edx = cpuid(0x8000_0001, 0)
    state.rdtscp = edx & HAS_RDTSCP != 0
    if state.xsave:
        state.components, _, _, _ = cpuid(0xD, 0)
    start_other()
    line(f"READY switched{state.number} XSAVE {state.xsave} RDTSCP {state.rdtscp}")
    kept = keeps_all(0)
    while ptr[u32](address_of(state.second))[0] == 0:
        hypercall(SCHED_OP, YIELD, 0, 0)
    finish(kept and state.second == 1)


def break_registers() -> None:
    fill_table()
    taken.survives = True
    taken.exception = refused
    line(f"READY switched{state.number}")
    write_cr0(read_cr0() | NOT_WRITE_THROUGH)
    hypercall(SCHED_OP, YIELD, 0, 0)
    finish(False)


def refused(vector: u64, frame: u64) -> None:
    line(f"exception {vector}")
    finish(vector == PROTECTION)


@export
def guest_secondary() -> None:
    state.second = 1 if keeps_all(1) else 2


def finish(well: bool) -> None:
    if well:
        line(f"DONE switched{state.number} ok")
    else:
        line(f"DONE switched{state.number} fail")
    end(POWER_OFF)


@unbounded("the rounds that were asked for")
def keeps_all(cpu: u64) -> bool:
    """What only this CPU of all has is there after each time that others ran."""
    own = u32(state.number * 2 + cpu)
    enabled = COMPONENTS[own % 3] & state.components
    if state.xsave:
        allow_xsave()
        write_xcr0(enabled)
    if state.rdtscp:
        write_msr(TSC_AUX, u64(own))
    mark = ptr[u64](address_of(marks) + cpu * 8)
    round: u64 = 0
    while round < state.rounds:
        mark[0] = marked(own, round)
        hypercall(SCHED_OP, YIELD, 0, 0)
        if mark[0] != marked(own, round):
            return False
        if state.xsave and read_xcr0() != u64(enabled):
            return False
        if state.rdtscp and processor() != own:
            return False
        round += 1
    return True


def marked(own: u32, round: u64) -> u64:
    return u64(own) << 32 | round + 1
