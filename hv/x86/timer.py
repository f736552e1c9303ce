"""Time: the timestamp counter (TSC) as a clock in nanoseconds, and the local APIC's timer as each CPU's alarm.

Ticks become nanoseconds by a multiplication with a fraction of 2**32. What an alarm is set to is computed from the
time that is left, so that the fraction's error grows with the distance only: an alarm may ring a little early, and is
then set again.

A TSC that changes its speed is no clock. Then a `ReferenceClock` is: its count is carried on beyond its width in
`Clock.carried`, to which every reading adds what has passed; one of them has to come in each half of a round.
"""

from hv.common.kernel.time import Ns, Ticks
from hv.lang import Atomic, Final, PerCpu, u32, u64, unbounded
from hv.x86 import lapic
from hv.x86.cpu import complete_stores, scaled, timestamp, write_msr
from hv.x86.reference import ReferenceClock
from hv.x86.vectors import TIMER

SECOND: Final[u64] = 1_000_000_000
NEVER: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF
TSC_DEADLINE: Final[u32] = 0x6E0
DEADLINE_MODE: Final[u32] = 0b10 << 17
FARTHEST: Final[u64] = 1 << 40  # ns: an alarm beyond it rings early
MOST_TICKS: Final[u64] = 0xFFFF_FFFF


class Clock:
    frequency: u64  # of the TSC, in Hz; 0: not known yet
    to_ns: u64  # fractions of 2**32
    to_ticks: u64
    to_apic_ticks: u64
    has_deadline: bool  # the local APIC's timer compares with the TSC
    reference: ReferenceClock | None  # the clock, in place of the TSC
    carried: Atomic[u64]


clock: Final = Clock()


class Alarm(PerCpu):
    deadline: Ns  # NEVER: off


class Tsc(PerCpu):
    behind: u64  # ticks by which this CPU's lags behind the boot CPU's (modulo 2**64)


def fraction(a: u64, b: u64) -> u64:
    """a / b, in units of 2**-32. The smaller is below 2**32, and so is the quotient."""
    return a // b << 32 | (a % b << 32) // b


def start_clock(frequency: u64, apic_frequency: u64, has_deadline: bool) -> None:
    """Frequencies in Hz, from 1 MHz to 2**34."""
    clock.to_ns = fraction(SECOND, frequency)
    clock.to_ticks = fraction(frequency, SECOND)
    clock.to_apic_ticks = fraction(apic_frequency, SECOND)
    clock.has_deadline = has_deadline
    clock.frequency = frequency


def use_reference(reference: ReferenceClock) -> None:
    """In place of the TSC, before anybody asks for the time. Alarms then go by the local APIC's own speed."""
    clock.carried.store(reference.read())
    clock.to_ns = fraction(SECOND, reference.frequency())
    clock.has_deadline = False
    clock.reference = reference


def start_cpu() -> None:
    """Behind `lapic.start_cpu`."""
    mode = DEADLINE_MODE if clock.has_deadline else 0
    lapic.machine.apic.write(lapic.LVT_TIMER, mode | u32(TIMER))
    complete_stores()  # a deadline counts from here on (Intel SDM 3A, 10.5.4.1)
    Alarm.this().deadline = Ns(NEVER)


def ticks() -> Ticks:
    """The TSC as the boot CPU has it."""
    return Ticks(timestamp() + Tsc.this().behind)


def to_ns(span: Ticks) -> Ns:
    return Ns(scaled(span, clock.to_ns))


def now() -> Ns:
    """0 before the clock has been started."""
    reference = clock.reference
    if reference is not None:
        return Ns(scaled(carry(reference), clock.to_ns))
    return Ns(scaled(ticks(), clock.to_ns))


@unbounded("fails only when another CPU has carried on meanwhile")
def carry(reference: ReferenceClock) -> u64:
    while True:
        before = clock.carried.load()
        passed = reference.read() - before & reference.mask()
        if passed > reference.mask() >> 1:
            return before  # another CPU has read the clock behind this one
        if clock.carried.compare_exchange(before, before + passed):
            return before + passed


def set_alarm(deadline: Ns) -> None:
    Alarm.this().deadline = deadline
    if deadline == NEVER:
        stop()
        return
    at = now()
    left = min(deadline - at, FARTHEST) if deadline > at else 0
    if clock.has_deadline:
        write_msr(TSC_DEADLINE, timestamp() + scaled(left, clock.to_ticks) + 1)
    else:
        lapic.machine.apic.write(lapic.TIMER_INITIAL, u32(min(scaled(left, clock.to_apic_ticks) + 1, MOST_TICKS)))


def stop() -> None:
    if clock.has_deadline:
        write_msr(TSC_DEADLINE, 0)
    else:
        lapic.machine.apic.write(lapic.TIMER_INITIAL, 0)


def alarm_is_due() -> bool:
    """For the interrupt's handler: False when it came early, and has been set again."""
    alarm = Alarm.this()
    if now() < alarm.deadline:
        set_alarm(alarm.deadline)
        return False
    return True
