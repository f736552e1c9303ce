"""What a PVH guest pays for the cheapest exits of each kind, timed with the TSC (docs/benchmarks.md)."""

from guests.x86.lib.cpu import cpuid, interrupts_off, interrupts_on, read32, read_msr, timestamp
from guests.x86.lib.events import Channel, frequency, take_events
from guests.x86.lib.hypercall import ENOSYS, POWER_OFF, SCHED_OP, XEN_VERSION, end, hypercall, no_hypercall
from guests.x86.lib.interrupts import APIC_BASE, at, fill_table, taken
from guests.x86.lib.text import line
from hv.lang import Callable, Final, export, u32, u64

ITERATIONS: Final = 10_000
UPCALL: Final = 0xF3  # a vector
UNKNOWN: Final[u64] = 45
SET_TIMER_OP: Final[u64] = 15
VCPU_OP: Final[u64] = 24
IS_UP: Final[u64] = 3
YIELD: Final[u64] = 0
APIC_VERSION: Final[u32] = 3

channel: Final = Channel()


@export
def guest_main(information: u64) -> None:
    line("READY bench")
    fill_table()
    if not channel.init() or not take_events(UPCALL):
        fail("no event channel")
    line(f"BENCH clock {frequency()}")
    works(hypercall(XEN_VERSION, 0, 0, 0) >> 16 == 4, "xen_version")
    works(hypercall(UNKNOWN, 0, 0, 0) == ENOSYS, "unknown_hypercall")
    works(hypercall(VCPU_OP, IS_UP, 0, 0) == 1, "vcpu_is_up")
    works(hypercall(SCHED_OP, YIELD, 0, 0) == 0, "yield")
    works(hypercall(SET_TIMER_OP, 0, 0, 0) == 0, "set_timer")
    works(read32(at(APIC_VERSION)) & 0xF0 == 0x10, "apic_read")
    call = time(empty_call)
    alone = time(nothing)
    report("xen_version", time(xen_version), call)
    report("unknown_hypercall", time(unknown_hypercall), call)
    report("vcpu_is_up", time(is_up), call)
    report("yield", time(give_way), call)
    report("set_timer", time(set_timer), call)
    report("cpuid", time(identify), alone)
    report("rdmsr", time(apic_base), alone)
    report("apic_read", time(apic_version), alone)
    channel.mask()
    works(channel.raise_event() == 0, "event_send")
    report("event_send", time(send), call)
    channel.clear()
    channel.unmask()
    before = taken.count[UPCALL]
    interrupts_on()
    report("event_upcall", time(send_and_take), call)
    interrupts_off()
    if taken.count[UPCALL] - before != ITERATIONS + 1:
        fail("events and interrupts differ in number")
    line("DONE bench ok")
    end(POWER_OFF)


def report(operation: str, ticks: u64, empty: u64) -> None:
    line(f"BENCH {operation} {u64(ITERATIONS)} {ticks} {empty}")


def fail(reason: str) -> None:
    line(f"DONE bench fail {reason}")
    end(POWER_OFF)


def works(right: bool, operation: str) -> None:
    """What is timed is the operation, and no refusal of it."""
    if not right:
        fail(operation)


def time(function: Callable[[], None]) -> u64:
    """Ticks of all iterations, after a first one that does not count."""
    function()
    start = timestamp()
    for _ in range(ITERATIONS):
        function()
    return timestamp() - start


def nothing() -> None:
    pass


def empty_call() -> None:
    no_hypercall(XEN_VERSION, 0, 0, 0)


def xen_version() -> None:
    hypercall(XEN_VERSION, 0, 0, 0)


def unknown_hypercall() -> None:
    hypercall(UNKNOWN, 0, 0, 0)


def is_up() -> None:
    hypercall(VCPU_OP, IS_UP, 0, 0)


def give_way() -> None:
    hypercall(SCHED_OP, YIELD, 0, 0)


def set_timer() -> None:
    hypercall(SET_TIMER_OP, 0, 0, 0)


def identify() -> None:
    cpuid(1, 0)


def apic_base() -> None:
    read_msr(APIC_BASE)


def apic_version() -> None:
    read32(at(APIC_VERSION))


def send() -> None:
    channel.raise_event()


def send_and_take() -> None:
    channel.raise_event()
    channel.clear()
