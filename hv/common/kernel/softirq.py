"""Softirqs: work that an interrupt or an exit leaves for the way out, done with interrupts masked and no lock held.

Each CPU has a set of pending softirqs. `run_softirqs` is called on every way back to a guest and in the idle loop; it
runs the handlers of the lowest pending number first, until none is pending. Raising one that is pending already changes
nothing.
"""

from hv.arch import cpu_id, send_ipi
from hv.lang import Atomic, Callable, Final, PerCpu, Registry, U8Enum, trailing_zeros, u8, u32, unbounded, value


class Softirq(U8Enum):
    TIMER = 0
    CONSOLE = 1
    WORK = 2
    TRACE = 3
    SURVEY = 4
    RECLAIM = 5
    SCHEDULE = 6  # last: what the others did may change which vCPU is to run


@value
class Handler:
    softirq: Softirq
    run: Callable[[], None]


handlers: Final = Registry[Handler]()


class Pending(PerCpu):
    bits: Atomic[u32]


def raise_softirq(softirq: Softirq) -> None:
    """On this CPU."""
    Pending.this().bits.or_(u32(1) << u8(softirq))


def raise_on(cpu: u32, softirq: Softirq) -> None:
    """On any CPU, which is interrupted when it is another and did not know yet."""
    bit = u32(1) << u8(softirq)
    before = Pending.on(cpu).bits.or_(bit)
    if before & bit == 0 and cpu != cpu_id():
        send_ipi(cpu)


def leave_softirq(cpu: u32, softirq: Softirq) -> None:
    """For a CPU to run when it comes by: it is neither interrupted for it nor woken. Not for one that is raised as
    well.
    """
    Pending.on(cpu).bits.or_(u32(1) << u8(softirq))


def softirqs_pending() -> bool:
    return Pending.this().bits.load_acquire() != 0


@unbounded("ends when nothing is pending; a handler that raises itself for ever is a fault of its own")
def run_softirqs() -> None:
    pending = Pending.this()
    while pending.bits.load_acquire() != 0:
        number = trailing_zeros(pending.bits.load_relaxed())
        pending.bits.and_(~(u32(1) << number))
        for handler in handlers:
            if u32(u8(handler.softirq)) == number:
                handler.run()
