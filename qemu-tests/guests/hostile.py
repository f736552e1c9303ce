"""A unikernel that does all it can to break out, or to learn what others left behind: for tests beside guests that
must not notice.

Each of its CPUs goes round after round, and in each does one wild thing: loads, stores and jumps all over the
guest-physical space, instructions that there are not, system registers, calls with any number, every register of the
interrupt controller and the UART, storms of interrupts to itself. An exception is what it expects, and survives.

Its vector registers hold a pattern that only it knows. `DONE hostile fail leak`: they held anything else, at the
start or later.

Words of the command line: seed=N, rounds=N (of the first CPU, until it says DONE hostile ok; it goes on behind that).
"""

from guests.attacks import attackers
from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.arguments import argument
from guests.lib.gicv3 import gic, taken
from guests.lib.hypercall import power_off, start_cpu
from guests.lib.text import line
from guests.lib.uart import uart
from hv.lang import Final, export, extern, symbol, u64, unbounded

ROUNDS: Final = 100_000
REPORT: Final[u64] = 20_000  # rounds


@export
@unbounded("for ever, or until it finds a leak")
def guest_main(tree: u64) -> None:
    uart.init()
    if any_fp() != 0:
        leak("at the start")
    seed = argument(tree, "seed", 1)
    rounds = argument(tree, "rounds", ROUNDS)
    line("READY hostile")
    attackers[0].init(0, seed)
    attackers[1].init(1, seed + 1000)
    gic.init()
    gic.init_cpu()
    start_cpu(1, symbol("secondary_entry"), 1)
    me = attackers[0]
    while True:
        if not me.round():
            leak("in the vector registers")
        if attackers[1].leaked:
            leak("in the second CPU's vector registers")
        if me.rounds % REPORT == 0:
            line(f"hostile: {me.rounds} rounds, {me.exceptions} exceptions, {taken[0]} interrupts")
        if me.rounds == rounds:
            line("DONE hostile ok")


def leak(where: str) -> None:
    line(f"leak {where}")
    line("DONE hostile fail leak")
    power_off()


@export
@unbounded("for ever, or until it finds a leak")
def guest_secondary(cpu: u64) -> None:
    me = attackers[1]
    me.leaked = any_fp() != 0
    gic.init_cpu()
    while not me.leaked:
        me.leaked = not me.round()


@extern
def any_fp() -> u64: ...
