"""What a guest pays for the cheapest exits of each kind, and how late the interrupts of its timer and of a device come,
timed with the virtual counter (docs/benchmarks.md).
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.arguments import argument
from guests.lib.controller import DISTRIBUTOR, interrupts
from guests.lib.cpu import nothing
from guests.lib.gic import gic, take_interrupt
from guests.lib.gicv3 import TYPER
from guests.lib.hypercall import PSCI_VERSION, hvc, no_call, power_off
from guests.lib.latency import DITHER, raise_after, spin_until, wait_until
from guests.lib.mmio import read32, write32
from guests.lib.text import line
from guests.lib.timer import CNTFRQ_EL0, INTID, counter
from guests.lib.uart import FLAGS, uart
from hv.lang import Final, export, u64, unbounded

ITERATIONS: Final = 100_000
ROUNDS: Final = 64 * DITHER
AHEAD: Final[u64] = 10_000  # ticks; Xen's timers are up to 50 us late when they are set for sooner than that

CLOCK: Final[u64] = 0x0901_0000  # a PL031 (Arm DDI 0224, 3.3) that the guest owns, if its command line says so
CLOCK_INTID: Final = 34
DATA: Final[u64] = CLOCK + 0x00
MATCH: Final[u64] = CLOCK + 0x04
MASK: Final[u64] = CLOCK + 0x10
RAW: Final[u64] = CLOCK + 0x14


@interrupts.entry(intid=CLOCK_INTID)
def rang() -> None:
    write32(MASK, 0)


@export
def guest_main(tree: u64) -> None:
    uart.init()
    line("READY bench")
    line(f"BENCH clock {CNTFRQ_EL0.read()}")
    report("hvc_psci_version", ITERATIONS, calls(), empty_calls())
    report("vgicd_typer_read", ITERATIONS, reads(DISTRIBUTOR + TYPER), empty_reads())
    report("vpl011_flag_read", ITERATIONS, reads(FLAGS), empty_reads())
    gic.init()
    gic.init_cpu()
    gic.enable(INTID)
    report("timer_running", ROUNDS, timer_running(), 0)
    report("timer_waiting", ROUNDS, timer_waiting(), 0)
    if argument(tree, "clock", 0) != 0:
        report("spi_running", ROUNDS, device_running(), 0)
    line("DONE bench ok")
    power_off()


def report(operation: str, iterations: u64, ticks: u64, empty: u64) -> None:
    line(f"BENCH {operation} {iterations} {ticks} {empty}")


def calls() -> u64:
    hvc(PSCI_VERSION, 0, 0, 0)
    start = counter()
    for _ in range(ITERATIONS):
        hvc(PSCI_VERSION, 0, 0, 0)
    return counter() - start


def empty_calls() -> u64:
    no_call(PSCI_VERSION, 0, 0, 0)
    start = counter()
    for _ in range(ITERATIONS):
        no_call(PSCI_VERSION, 0, 0, 0)
    return counter() - start


def reads(register: u64) -> u64:
    read32(register)
    start = counter()
    for _ in range(ITERATIONS):
        nothing()
        read32(register)
    return counter() - start


def empty_reads() -> u64:
    start = counter()
    for _ in range(ITERATIONS):
        nothing()
    return counter() - start


def timer_running() -> u64:
    """From the moment that the timer is set for to its handler, while the guest executes a branch to itself."""
    late: u64 = 0
    for i in range(ROUNDS):
        deadline = counter() + AHEAD
        late += spin_until(deadline, u64(i % DITHER)) - deadline
        take_interrupt()
    return late


def timer_waiting() -> u64:
    """The same while it waits for interrupts."""
    late: u64 = 0
    for i in range(ROUNDS):
        deadline = counter() + AHEAD
        late += wait_until(deadline, u64(i % DITHER)) - deadline
        take_interrupt()
    return late


@unbounded("the second that the clock shows lasts longer than two of its registers' accesses")
def ring() -> None:
    """From now on the device's line is asserted unless it is masked."""
    write32(MASK, 0)
    while read32(RAW) & 1 == 0:
        write32(MATCH, read32(DATA))


def device_running() -> u64:
    """From the store that asserts the device's line to the handler, while the guest executes a branch to itself."""
    ring()
    gic.enable(CLOCK_INTID)
    late: u64 = 0
    for i in range(ROUNDS):
        late += raise_after(u64(i % DITHER), MASK, 1)
        take_interrupt()
    return late
