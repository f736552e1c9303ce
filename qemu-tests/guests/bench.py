"""What a guest pays for the cheapest exits of each kind, and how late its timer's interrupt comes, timed with the
virtual counter (docs/benchmarks.md).
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.controller import DISTRIBUTOR
from guests.lib.cpu import nothing
from guests.lib.gic import gic, take_interrupt
from guests.lib.gicv3 import TYPER
from guests.lib.hypercall import PSCI_VERSION, hvc, no_call, power_off
from guests.lib.latency import DITHER, spin_until, wait_until
from guests.lib.mmio import read32
from guests.lib.text import line
from guests.lib.timer import CNTFRQ_EL0, INTID, counter
from guests.lib.uart import FLAGS, uart
from hv.lang import Final, export, u64

ITERATIONS: Final = 100_000
ROUNDS: Final = 64 * DITHER
AHEAD: Final[u64] = 10_000  # ticks; Xen's timers are up to 50 us late when they are set for sooner than that


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
