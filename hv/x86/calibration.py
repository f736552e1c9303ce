"""How fast the timestamp counter and the local APIC's timer run: measured against a clock of known speed.

A clock is read between two readings of the TSC, and the pair that lie closest together counts, so that an interruption
of this CPU (by firmware, or by a hypervisor below) does no harm. Where the CPU names its crystal (CPUID 15H), nothing
has to be measured.

A pair's TSC is half way between its two readings. So what is measured is wrong by at most half of the distance of these
at each end, and by one tick of the clock, out of a hundredth of a second; the local APIC's timer, which is read behind
the clock, by twice as much.
"""

from hv.lang import Errno, Final, raises, u32, u64, unbounded, value
from hv.x86 import lapic
from hv.x86.cpu import relax, timestamp
from hv.x86.cpuid import Leaf
from hv.x86.reference import ReferenceClock

CRYSTAL: Final[u32] = 0x15
INVARIANT: Final[u32] = 0x8000_0007
INVARIANT_BIT: Final[u32] = 1 << 8
TRIES: Final = 8
SPAN: Final[u64] = 100  # of a second: that part is measured
MOST_TICKS: Final[u64] = 1 << 32  # of the TSC: a clock that stands still by then never moves
SLOWEST: Final[u64] = 1_000_000
FASTEST: Final[u64] = 1 << 34


@value
class Speeds:
    """Hz."""

    tsc: u64
    apic: u64


@value
class Moment:
    clock: u64
    tsc: u64
    apic: u64


def tsc_is_invariant() -> bool:
    """It runs at one speed whatever the CPU does (Intel SDM 3B, 17.17.1)."""
    leaf = Leaf()
    leaf.read(INVARIANT)
    return leaf.edx & INVARIANT_BIT != 0


def crystal_speeds() -> Speeds:
    """Zeros: the CPU does not say, or what cannot be. The local APIC's timer runs with the crystal (Intel SDM 3A,
    10.5.4)."""
    leaf = Leaf()
    leaf.read(CRYSTAL)
    if leaf.eax == 0 or leaf.ebx == 0 or leaf.ecx == 0:
        return Speeds(0, 0)
    speeds = Speeds(u64(leaf.ecx) * u64(leaf.ebx) // u64(leaf.eax), u64(leaf.ecx))
    return speeds if are_possible(speeds) else Speeds(0, 0)


@raises
def measure(clock: ReferenceClock) -> Speeds:
    """EIO: the clock stands still, or what it says of the others cannot be."""
    lapic.machine.apic.write(lapic.TIMER_INITIAL, 0xFFFF_FFFF)
    start = look(clock)
    span = clock.frequency() // SPAN
    end = wait(clock, start, span)
    lapic.machine.apic.write(lapic.TIMER_INITIAL, 0)
    passed = end.clock - start.clock & clock.mask()
    if passed < span:
        raise Errno.EIO
    speeds = Speeds(
        tsc=scaled_speed(end.tsc - start.tsc, clock.frequency(), passed),
        apic=scaled_speed(start.apic - end.apic & 0xFFFF_FFFF, clock.frequency(), passed),
    )
    if not are_possible(speeds):
        raise Errno.EIO
    return speeds


def are_possible(speeds: Speeds) -> bool:
    return SLOWEST <= speeds.tsc <= FASTEST and 0 < speeds.apic <= FASTEST


def scaled_speed(counted: u64, frequency: u64, passed: u64) -> u64:
    """counted * frequency / passed, in Hz. Of 2**32 counts of the clock or less, and at least a hundredth of a second,
    at 2**31 Hz or less."""
    return counted // passed * frequency + counted % passed * frequency // passed


@unbounded("ends when the clock has gone on, or the TSC has so far that it never will")
def wait(clock: ReferenceClock, start: Moment, span: u64) -> Moment:
    while True:
        now = look(clock)
        if now.clock - start.clock & clock.mask() >= span or now.tsc - start.tsc > MOST_TICKS:
            return now
        relax()


def look(clock: ReferenceClock) -> Moment:
    best = Moment(0, 0, 0)
    least: u64 = 0xFFFF_FFFF_FFFF_FFFF
    for _ in range(TRIES):
        before = timestamp()
        at = clock.read()
        apic = u64(lapic.machine.apic.read(lapic.TIMER_CURRENT))
        after = timestamp()
        if after - before < least:
            least = after - before
            best = Moment(at, before + (after - before) // 2, apic)
    return best
