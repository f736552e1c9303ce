"""A guest that does nothing but look at the counter for a second, and tells how often it was away meanwhile: each time
that its CPU was in the hypervisor, two looks are further apart than when it stays in the guest.

It expects time that is counted in instructions: then a look is never late for another reason. Word of its command line:
`ms`, how long.
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.arguments import argument
from guests.lib.hypercall import hvc, power_off
from guests.lib.text import line
from guests.lib.timer import counter, milliseconds
from guests.lib.uart import uart
from hv.lang import Final, export, u64, unbounded

PSCI_VERSION: Final[u64] = 0x8400_0000


def visit() -> u64:
    """How many ticks the shortest visit of the hypervisor takes: less than this is none."""
    before = counter()
    hvc(PSCI_VERSION, 0, 0, 0)
    return (counter() - before) // 2


@unbounded("until then")
def absences(until: u64, least: u64) -> u64:
    """How often two looks were at least so many ticks apart."""
    count: u64 = 0
    last = counter()
    while last < until:
        now = counter()
        if now - last >= least:
            count += 1
        last = now
    return count


@export
def guest_main(tree: u64) -> None:
    uart.init()
    time = milliseconds(argument(tree, "ms", 1000))
    line("READY spin")
    visit()
    least = visit()
    away = absences(counter() + time, least)
    line(f"away {away} times in {time} ticks, each {least} or more")
    line("DONE spin ok")
    power_off()
