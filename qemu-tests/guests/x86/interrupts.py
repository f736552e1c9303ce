"""A guest that lives by its local APIC: the timer in its three modes, interrupts held back by IF and by CR8, another
CPU that is started and answers.
"""

from guests.x86.lib.cpu import (
    cpuid,
    exchange32,
    halt,
    interrupt_window,
    or32,
    pause,
    read32,
    read_msr,
    set_task_priority,
    timestamp,
    wait_for_interrupt,
    write32,
    write_msr,
)
from guests.x86.lib.hypercall import POWER_OFF, end
from guests.x86.lib.interrupts import (
    APIC_BASE,
    CURRENT_COUNT,
    DIVIDE,
    ICR,
    INITIAL_COUNT,
    LVT_TIMER,
    SELF_IPI,
    at,
    fill_table,
    read,
    take_interrupts,
    taken,
    write,
)
from guests.x86.lib.secondary import ITS_ID, start_other
from guests.x86.lib.text import line
from hv.lang import Final, Message, address_of, export, u32, u64, unbounded

TSC_DEADLINE: Final[u32] = 0x6E0
ONE_SHOT: Final = 0x40  # vectors
PERIODIC: Final = 0x41
DEADLINE: Final = 0x42
HELD: Final = 0x43
LOW: Final = 0x53
HIGH: Final = 0xA3
FROM_OTHER: Final = 0x44
BY_MEMORY: Final = 0x45
VERSION: Final[u32] = 0x03
TPR: Final[u32] = 0x08
SVR: Final[u32] = 0x0F
BY_ONE: Final[u64] = 0xB  # the divider's code
COUNT: Final[u64] = 100_000  # a millisecond
NMI: Final = 2
NMI_TO_FIRST: Final[u64] = 0x4400  # to CPU 0
STARTS: Final = 20  # of the other CPU
ON: Final[u64] = 1 << 11  # of APIC_BASE
HAS_APIC: Final[u32] = 1 << 9  # CPUID.01H:EDX
PATIENCE: Final[u64] = 4_000_000_000  # ticks of the TSC


class Nmis:
    taken: u32
    within: bool
    nested: bool


nmis: Final = Nmis()


class Other:
    may_end: u32


other: Final = Other()


@export
@unbounded("ends when interrupts come")
def guest_main(information: u64) -> None:
    _, _, ecx, _ = cpuid(1, 0)
    check(ecx >> 21 & 1 == 1 and ecx >> 24 & 1 == 1, "no x2APIC or TSC deadline")
    by_memory()
    take_interrupts()
    write32(at(SVR), 0)
    check(read32(at(SVR)) == 0xFFFF_FFFF and read(SVR) == 0x1FF, "an x2APIC has registers in memory")
    write(DIVIDE, BY_ONE)
    write(LVT_TIMER, ONE_SHOT)
    write(INITIAL_COUNT, COUNT)
    check(read(CURRENT_COUNT) <= COUNT, "the count is above where it began")
    while taken.count[ONE_SHOT] == 0:
        wait_for_interrupt()
    check(read(CURRENT_COUNT) == 0, "a one-shot count goes on")
    line("one-shot")
    write(LVT_TIMER, PERIODIC | 1 << 17)
    write(INITIAL_COUNT, COUNT)
    while taken.count[PERIODIC] < 5:
        wait_for_interrupt()
    write(INITIAL_COUNT, 0)
    check(taken.count[ONE_SHOT] == 1, "the one-shot timer came twice")
    line("periodic")
    write(LVT_TIMER, DEADLINE | 2 << 17)
    wanted = timestamp() + 1_000_000
    write_msr(TSC_DEADLINE, wanted)
    while taken.count[DEADLINE] == 0:
        wait_for_interrupt()
    check(timestamp() >= wanted, "the deadline came early")
    line("deadline")
    hold_back()
    take_nmis()
    await_other()
    line("READY interrupts")
    line("DONE interrupts ok")
    write32(address_of(other), 1)
    halt()


@unbounded("ends when the interrupt comes")
def by_memory() -> None:
    """The registers where they lie before x2APIC is on, by loads, stores, exchange and arithmetic."""
    fill_table()
    off_and_on()
    check(read32(at(VERSION)) & 0xF0 == 0x10, "no version of a local APIC")
    write32(at(SVR), 0xFF)
    or32(at(SVR), 0x100)
    check(read32(at(SVR)) == 0x1FF, "what was stored and what was added are not there")
    check(exchange32(at(TPR), 0x20) == 0 and read32(at(TPR)) == 0x20, "exchange")
    write32(at(TPR), 0)
    write32(at(DIVIDE), u32(BY_ONE))
    write32(at(LVT_TIMER), BY_MEMORY)
    write32(at(INITIAL_COUNT), u32(COUNT))
    while taken.count[BY_MEMORY] == 0:
        wait_for_interrupt()
    line("by memory")


def off_and_on() -> None:
    """A CPU whose local APIC is off says that it has none; when it comes back it is as at power-on."""
    write32(at(SVR), 0x1FF)
    base = read_msr(APIC_BASE)
    write_msr(APIC_BASE, base & ~ON)
    _, _, _, edx = cpuid(1, 0)
    check(edx & HAS_APIC == 0 and read_msr(APIC_BASE) == base & ~ON, "a local APIC does not go off")
    check(read32(at(VERSION)) == 0xFFFF_FFFF, "a local APIC answers that is off")
    write_msr(APIC_BASE, base)
    _, _, _, edx = cpuid(1, 0)
    check(edx & HAS_APIC != 0 and read_msr(APIC_BASE) == base, "a local APIC does not come back")
    check(read32(at(SVR)) == 0xFF, "a local APIC comes back as it went")


def hold_back() -> None:
    """By IF, and by the task priority; the higher of two comes first where both wait."""
    write(SELF_IPI, HELD)
    check(taken.count[HELD] == 0, "an interrupt came with interrupts off")
    interrupt_window()
    check(taken.count[HELD] == 1, "an interrupt did not come when they were on")
    set_task_priority(8)
    check(read(TPR) == 0x80, "CR8 is not the task priority")
    write(SELF_IPI, LOW)
    write(SELF_IPI, HIGH)
    interrupt_window()
    check(taken.count[HIGH] == 1 and taken.count[LOW] == 0, "the task priority is not heeded")
    set_task_priority(0)
    interrupt_window()
    check(taken.count[LOW] == 1, "an interrupt is lost behind the task priority")
    line("held back")


def take_nmis() -> None:
    """With interrupts off, and none within another: one that is sent meanwhile comes right behind it."""
    taken.exception = take_nmi
    taken.survives = True
    write(ICR, NMI_TO_FIRST)
    check(nmis.taken == 2 and not nmis.nested, "an NMI does not come, or within another")
    write(ICR, NMI_TO_FIRST)
    check(nmis.taken == 3, "a third NMI does not come")
    line("NMIs")


def take_nmi(vector: u64, frame: u64) -> None:
    """The first sends another."""
    check(vector == NMI, "an exception")
    if nmis.within:
        nmis.nested = True
    nmis.within = True
    nmis.taken += 1
    if nmis.taken == 1:
        write(ICR, NMI_TO_FIRST)
        cpuid(1, 0)
    nmis.within = False


@unbounded("ends when the other CPU has taken its NMI, or patience does")
def await_other() -> None:
    start_and_hear(1)
    line("another CPU")
    before = nmis.taken
    write(ICR, ITS_ID << 32 | NMI_TO_FIRST)
    deadline = timestamp() + PATIENCE
    while read32(address_of(nmis)) == before and timestamp() < deadline:
        pause()
    check(nmis.taken == before + 1, "an NMI does not reach the other CPU")
    for again in range(2, STARTS + 1):
        start_and_hear(u64(again))
    line("again and again")


@unbounded("ends when the other CPU answers, or patience does")
def start_and_hear(answers: u64) -> None:
    """It may still run: INIT and STARTUP come right behind each other."""
    start_other()
    deadline = timestamp() + PATIENCE
    while taken.count[FROM_OTHER] < answers and timestamp() < deadline:
        interrupt_window()
    check(taken.count[FROM_OTHER] == answers, "the other CPU does not answer")


@export
@unbounded("ends when CPU 0 does")
def guest_secondary() -> None:
    """Both CPUs halt at the same time, which is the domain's end."""
    take_interrupts()
    check(read(TPR) == 0, "INIT leaves the task priority")
    write(TPR, 0x10)
    write(ICR, FROM_OTHER | 0x4000)  # to CPU 0
    while read32(address_of(other)) == 0:
        pause()
    halt()


def check(right: bool, what: Message) -> None:
    if not right:
        line(what)
        line("DONE interrupts fail")
        end(POWER_OFF)
