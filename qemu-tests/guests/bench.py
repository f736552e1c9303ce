"""What a guest pays for the cheapest exits of each kind, timed with the virtual counter (docs/benchmarks.md)."""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.controller import DISTRIBUTOR
from guests.lib.cpu import nothing
from guests.lib.gicv3 import TYPER
from guests.lib.hypercall import PSCI_VERSION, hvc, no_call, power_off
from guests.lib.mmio import read32
from guests.lib.text import line
from guests.lib.timer import CNTFRQ_EL0, counter
from guests.lib.uart import FLAGS, uart
from hv.lang import Final, export, u64

ITERATIONS: Final = 100_000


@export
def guest_main(tree: u64) -> None:
    uart.init()
    line("READY bench")
    line(f"BENCH clock {CNTFRQ_EL0.read()}")
    report("hvc_psci_version", calls(), empty_calls())
    report("vgicd_typer_read", reads(DISTRIBUTOR + TYPER), empty_reads())
    report("vpl011_flag_read", reads(FLAGS), empty_reads())
    line("DONE bench ok")
    power_off()


def report(operation: str, ticks: u64, empty: u64) -> None:
    line(f"BENCH {operation} {u64(ITERATIONS)} {ticks} {empty}")


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
