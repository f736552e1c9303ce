"""Two vCPUs that send each other an interrupt in turn, each waiting for that of the other (docs/benchmarks.md)."""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.controller import FIRST_SPECIAL
from guests.lib.cpu import wait_for_interrupt
from guests.lib.ending import give_up
from guests.lib.gicv3 import gicv3, send_sgi
from guests.lib.hypercall import power_off, start_cpu
from guests.lib.text import line
from guests.lib.timer import CNTFRQ_EL0, counter
from guests.lib.uart import uart
from hv.lang import Final, bounded, export, symbol, u32, u64, unbounded

SGI: Final = 1
WARM: Final = 100
ROUNDS: Final = 10_000


@export
def guest_main(tree: u64) -> None:
    uart.init()
    gicv3.init()
    gicv3.init_cpu()
    gicv3.enable(SGI)
    line("READY sgi")
    line(f"BENCH clock {CNTFRQ_EL0.read()}")
    if not start_cpu(1, symbol("secondary_entry"), 1):
        give_up("the second CPU does not start")
    await_sgi()
    there_and_back(WARM)
    line(f"BENCH sgi_waiting {u64(2 * ROUNDS)} {there_and_back(ROUNDS)} 0")
    line("DONE sgi ok")
    power_off()


def there_and_back(rounds: u32) -> u64:
    start = counter()
    for _ in bounded(rounds, ROUNDS):
        send_to(1)
        await_sgi()
    return counter() - start


@export
@unbounded("until the machine ends")
def guest_secondary(number: u64) -> None:
    gicv3.init_cpu()
    gicv3.enable(SGI)
    while True:
        send_to(0)
        await_sgi()


def send_to(cpu: u64) -> None:
    send_sgi(u64(SGI) << 24 | u64(1) << cpu)


@unbounded("the other CPU sends it")
def await_sgi() -> None:
    """Takes it without an exception: interrupts are masked."""
    acknowledged: u64 = FIRST_SPECIAL
    while acknowledged >= FIRST_SPECIAL:
        wait_for_interrupt()
        acknowledged = gicv3.acknowledge()
    gicv3.end(acknowledged)
