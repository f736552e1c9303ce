"""What other CPUs can tell of one that does not answer: its per-CPU data, read without a lock while it hangs.

Modules add what they know to `evidence`. Nothing here is more than a hint: the CPU may hang while it changes it.
"""

from hv.common.kernel.panic import line
from hv.common.kernel.rank import Rank
from hv.common.kernel.softirq import Pending, handlers
from hv.common.kernel.spinlock import HeldRanks
from hv.config import CONFIG_DEBUG
from hv.lang import Callable, Final, Registry, trailing_zeros, u8, u32, unbounded, value


@value
class Evidence:
    tell: Callable[[u32], None]


evidence: Final = Registry[Evidence]()


def tell_of(cpu: u32) -> None:
    """In lines of a panic."""
    for entry in evidence:
        entry.tell(cpu)


@evidence.entry()
def tell_softirqs(cpu: u32) -> None:
    bits = Pending.on(cpu).bits.load_relaxed()
    for handler in handlers:
        if bits >> u8(handler.softirq) & 1 != 0:
            line(f"  softirq {handler.softirq.name} is pending")


@evidence.entry()
@unbounded("each step takes one bit of a word")
def tell_locks(cpu: u32) -> None:
    """Those that debug builds note: a lock's rank is noted before the CPU waits for it."""
    if CONFIG_DEBUG:
        held = HeldRanks.on(cpu).bits
        while held != 0:
            line(f"  it holds, or waits for, a lock of rank {Rank(u8(trailing_zeros(held))).name}")
            held &= held - 1
