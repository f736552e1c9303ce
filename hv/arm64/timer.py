"""The generic timer at EL2: the system counter as a clock in nanoseconds, and each CPU's hypervisor timer as its
alarm.

The counter is the same on all CPUs. Conversions are exact (rounded down to ns, up to ticks) in 64 bits: whole seconds
and the rest are converted apart, and the rest's product, less than 2**32 * 10**9, fits.
"""

from hv.arm64.cpu import instruction_barrier
from hv.arm64.sysreg import CNTFRQ_EL0, CNTHP_CTL_EL2, CNTHP_CVAL_EL2, CNTPCT_EL0
from hv.common.kernel.time import Ns, Ticks
from hv.lang import Final, u64

SECOND: Final[u64] = 1_000_000_000
OFF: Final[u64] = 0
ON: Final[u64] = 1
FARTHEST: Final[u64] = 4_294_967_296_000_000_000  # ns, 136 years: its ticks have 64 bits; later alarms are none


class Counter:
    frequency: u64  # Hz


counter: Final = Counter()


def start_clock(frequency: u64) -> None:
    """Before anything asks for the time. 0: the firmware's word in CNTFRQ_EL0 holds; a tree may know better."""
    counter.frequency = frequency if frequency != 0 else CNTFRQ_EL0.read()
    assert counter.frequency != 0, "neither the device tree nor the firmware says how fast the counter runs"
    assert counter.frequency < 1 << 32, "the counter runs faster than 4 GHz"


def ticks() -> Ticks:
    """The counter now: the barrier keeps it from being read before what stands before it."""
    instruction_barrier()
    return Ticks(CNTPCT_EL0.read())


def to_ns(t: Ticks) -> Ns:
    frequency = counter.frequency
    seconds = t // frequency
    return Ns(seconds * SECOND + (t - seconds * frequency) * SECOND // frequency)


def to_ticks(t: Ns) -> Ticks:
    """The first tick at which `to_ns` is not less than t, which is at most FARTHEST."""
    frequency = counter.frequency
    seconds = t // SECOND
    return Ticks(seconds * frequency + ((t - seconds * SECOND) * frequency + SECOND - 1) // SECOND)


def now() -> Ns:
    return to_ns(ticks())


def set_alarm(deadline: Ns) -> None:
    if deadline > FARTHEST:
        CNTHP_CTL_EL2.write(OFF)
        return
    CNTHP_CVAL_EL2.write(to_ticks(deadline))
    CNTHP_CTL_EL2.write(ON)
