"""Two of these give the CPU to each other for ever. The one that its command line tells to measures how long a turn
takes (docs/benchmarks.md).
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.arguments import argument
from guests.lib.hypercall import no_xen_call, power_off, xen_call
from guests.lib.text import line
from guests.lib.timer import CNTFRQ_EL0, counter
from guests.lib.uart import uart
from hv.lang import Final, bounded, export, u32, u64, unbounded

SCHED_OP: Final[u64] = 29
YIELD: Final[u64] = 0
WARM: Final = 100
ROUNDS: Final = 10_000


@export
@unbounded("who does not measure goes on for ever")
def guest_main(tree: u64) -> None:
    uart.init()
    line("READY switch")
    if argument(tree, "measure", 0) == 0:
        while True:
            xen_call(SCHED_OP, YIELD, 0)
    line(f"BENCH clock {CNTFRQ_EL0.read()}")
    turns(WARM)
    ticks = turns(ROUNDS)
    empty = empty_turns(ROUNDS)
    line(f"BENCH domain_switch {u64(2 * ROUNDS)} {ticks} {2 * empty}")
    line("DONE switch ok")
    power_off()


def turns(rounds: u32) -> u64:
    """Each goes to the other domain and comes back."""
    start = counter()
    for _ in bounded(rounds, ROUNDS):
        xen_call(SCHED_OP, YIELD, 0)
    return counter() - start


def empty_turns(rounds: u32) -> u64:
    start = counter()
    for _ in bounded(rounds, ROUNDS):
        no_xen_call(SCHED_OP, YIELD, 0)
    return counter() - start
