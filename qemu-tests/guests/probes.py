"""Registers of debugging, counting, tracing and floating point: what of them a guest has, and that nothing of others is
in any (Arm DDI 0487, D19).

The debug registers hold nothing, since the hypervisor offers no breakpoints (systrap.py). Performance monitors and
trace are not there: their registers are undefined.
"""

from guests.attempts import FP_TRAP, UNDEFINED, Attempts, attempts
from guests.lib.cpu import instruction_barrier
from guests.lib.gic import has_registers
from guests.verdict import expect, leak
from hv.lang import Final, SystemRegister, extern, truncate, u32, u64, unbounded

AMAIR_EL1: Final = SystemRegister("amair_el1")
CNTKCTL_EL1: Final = SystemRegister("cntkctl_el1")
CNTP_CVAL_EL0: Final = SystemRegister("cntp_cval_el0")
CNTV_CTL_EL0: Final = SystemRegister("cntv_ctl_el0")
CNTV_CVAL_EL0: Final = SystemRegister("cntv_cval_el0")
CONTEXTIDR_EL1: Final = SystemRegister("contextidr_el1")
CPACR_EL1: Final = SystemRegister("cpacr_el1")
ELR_EL1: Final = SystemRegister("elr_el1")
ESR_EL1: Final = SystemRegister("esr_el1")
FAR_EL1: Final = SystemRegister("far_el1")
MAIR_EL1: Final = SystemRegister("mair_el1")
MDSCR_EL1: Final = SystemRegister("mdscr_el1")
PAR_EL1: Final = SystemRegister("par_el1")
SP_EL0: Final = SystemRegister("sp_el0")
SPSR_EL1: Final = SystemRegister("spsr_el1")
TCR_EL1: Final = SystemRegister("tcr_el1")
TPIDRRO_EL0: Final = SystemRegister("tpidrro_el0")
TPIDR_EL0: Final = SystemRegister("tpidr_el0")
TTBR0_EL1: Final = SystemRegister("ttbr0_el1")
TTBR1_EL1: Final = SystemRegister("ttbr1_el1")

READ: Final[u32] = 0xD530_0000  # mrs x0, ...
WRITE: Final[u32] = 0xD510_0000  # msr ..., x0
NAMES: Final[u64] = 0x8000  # op0 (2 or 3) to op2
OP0_3: Final[u64] = 0x4000
BREAKPOINTS_END: Final[u64] = 0x100  # op0 2, op1 0, CRn 0 and 1
ONES: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF

MDSCR: Final[u64] = 0x0012
OSLSR: Final[u64] = 0x008C
STEPPING: Final[u64] = 0xB001  # of MDSCR_EL1: SS, TDCC, KDE, MDE
OS_LOCK: Final[u64] = 8  # OSLSR_EL1: it is there, and open

FP_ON: Final[u64] = 3 << 20  # CPACR_EL1, as entry.S sets it
USE_FP: Final[u32] = 0x1E26_0000  # fmov w0, s0

TABLE_BITS: Final[u64] = 0xFFFF_FFFF_F000
CONTEXT_BITS: Final[u64] = 0xFFFF_FFFF


def look_for_leftovers() -> None:
    """Of a CPU that was just switched on. What an exception or entry.S has changed tells nothing."""
    others = AMAIR_EL1.read() | CNTKCTL_EL1.read() | CONTEXTIDR_EL1.read() | MAIR_EL1.read() | TCR_EL1.read()
    others |= MDSCR_EL1.read() | SP_EL0.read() | TPIDRRO_EL0.read() | TPIDR_EL0.read()
    others |= TTBR0_EL1.read() | TTBR1_EL1.read() | CNTV_CTL_EL0.read() | CNTV_CVAL_EL0.read() | CNTP_CVAL_EL0.read()
    others |= ELR_EL1.read() | ESR_EL1.read() | FAR_EL1.read() | PAR_EL1.read() | SPSR_EL1.read()
    if any_fp() != 0 or others != 0:
        leak("in the registers of a CPU that starts")


def fill_registers(pattern: u64) -> None:
    """Registers that do nothing here."""
    TPIDR_EL0.write(pattern)
    TPIDRRO_EL0.write(~pattern)
    TTBR0_EL1.write(pattern & TABLE_BITS)
    TTBR1_EL1.write(~pattern & TABLE_BITS)
    CONTEXTIDR_EL1.write(pattern & CONTEXT_BITS)


def has_registers_of(pattern: u64) -> bool:
    """Whether they are as `fill_registers` left them, and CPACR_EL1 as it always is."""
    if TPIDR_EL0.read() != pattern or TPIDRRO_EL0.read() != ~pattern or CPACR_EL1.read() != FP_ON:
        return False
    if TTBR0_EL1.read() != pattern & TABLE_BITS or TTBR1_EL1.read() != ~pattern & TABLE_BITS:
        return False
    return CONTEXTIDR_EL1.read() == pattern & CONTEXT_BITS


@unbounded("the last name")
def probe(step: u64, seed: u64) -> None:
    """Every register of the breakpoints, the OS lock, the counters and the interrupts' CPU interface, and every
    `step`th of all. The interface is set up anew afterwards.
    """
    me = attempts[0]
    name: u64 = 0
    while name < NAMES:
        if is_counter(name):
            probe_counter(me, name)
        elif is_interface(name):
            probe_interface(me, name)
        elif name < BREAKPOINTS_END or name % step == seed % step:
            if is_debug(name):
                probe_debug(me, name)
            else:
                me.run(READ | truncate(u32, name) << 5, 0, 0)
                if is_trace(name):
                    expect("kind of exception of a read from register", name, me.kind(), UNDEFINED)
        name += 1
    MDSCR_EL1.write(0)
    probe_fp(me)


def is_debug(name: u64) -> bool:
    """op0 2, op1 0 or 3, CRn below 8."""
    op1 = name >> 11 & 7
    return name < OP0_3 and (op1 == 0 or op1 == 3) and name >> 7 & 0xF < 8


def is_trace(name: u64) -> bool:
    return name < OP0_3 and name >> 11 & 7 == 1


def is_counter(name: u64) -> bool:
    """PM*: op0 3, CRn 9, CRm 12 to 14, and CRn 14, CRm 8 to 15."""
    op1 = name >> 11 & 7
    crn = name >> 7 & 0xF
    crm = name >> 3 & 0xF
    if name < OP0_3 or (op1 != 0 and op1 != 3):
        return False
    return (crn == 9 and 12 <= crm <= 14) or (crn == 14 and crm >= 8 and op1 == 3)


def is_interface(name: u64) -> bool:
    """ICC_*: op0 3, op1 0, CRn 12, CRm 8 to 12; and ICC_PMR_EL1: CRn 4, CRm 6."""
    return 0x4640 <= name < 0x4668 or name == 0x4230


def probe_debug(me: Attempts, name: u64) -> None:
    """A CPU has some of these, and those do nothing."""
    me.run(WRITE | truncate(u32, name) << 5, ONES, 0)
    found = me.run(READ | truncate(u32, name) << 5, ONES, 0)
    if me.caught:
        expect("kind of exception of a read from register", name, me.kind(), UNDEFINED)
        expect("absence of register", name, u64(is_needed(name)), 0)
    else:
        expect("register", name, found, STEPPING if name == MDSCR else OS_LOCK if name == OSLSR else 0)


def is_needed(name: u64) -> bool:
    """Two breakpoints and watchpoints, and what is above."""
    return (name < 0x10 and name & 7 >= 4) or name == MDSCR or name == OSLSR


def probe_counter(me: Attempts, name: u64) -> None:
    me.run(READ | truncate(u32, name) << 5, 0, 0)
    expect("kind of exception of a read from register", name, me.kind(), UNDEFINED)
    me.run(WRITE | truncate(u32, name) << 5, ONES, 0)
    expect("kind of exception of a write to register", name, me.kind(), UNDEFINED)


def probe_interface(me: Attempts, name: u64) -> None:
    """With a GICv2 there is none. Otherwise all of it survives what is written there, and some of it is known."""
    me.run(READ | truncate(u32, name) << 5, 0, 0)
    if not has_registers():
        expect("kind of exception of a read from register", name, me.kind(), UNDEFINED)
    for i in range(2):
        me.run(WRITE | truncate(u32, name) << 5, 0 if i == 0 else ONES, 0)
        if not has_registers():
            expect("kind of exception of a write to register", name, me.kind(), UNDEFINED)
    found = me.run(READ | truncate(u32, name) << 5, 0, 0)
    match name if has_registers() else 0:
        case 0x4230:
            expect("ICC_PMR_EL1, of which 5 bits are there at least:", name, found & ~u64(7), 0xF8)
        case 0x4665:
            expect("ICC_SRE_EL1", name, found, 7)
        case 0x4667:
            expect("ICC_IGRPEN1_EL1", name, found, 1)
        case _:
            pass


def probe_fp(me: Attempts) -> None:
    """Turned off, floating point is the guest's own to trap, and turned on again it has lost nothing."""
    before = me.run(USE_FP, 0, 0)
    CPACR_EL1.write(0)
    instruction_barrier()
    me.run(USE_FP, 0, 0)
    CPACR_EL1.write(FP_ON)
    instruction_barrier()
    expect("kind of exception of floating point turned off:", 0, me.kind(), FP_TRAP)
    expect("s0", 0, me.run(USE_FP, 0, 0), before)


@extern
def any_fp() -> u64: ...
