"""A unikernel that does all it can to break out, or to learn what others left behind: for tests beside guests that
must not notice.

Each of its CPUs does one wild thing after the other: loads, stores and jumps all over the guest-physical space,
instructions that there are not, system registers, calls with any number, every register of the interrupt controller and
the UART, storms of interrupts to itself. An exception is what it expects, and survives.

Its vector registers hold a pattern that only it knows. `DONE hostile fail leak`: they held anything else, at the
start or later. After the last round it says `DONE hostile ok` and powers off.

Words of the command line: seed=N and rounds=N, of ACTS wild things of the first CPU each.
"""

from guests.attacks import attackers, recover_devices
from guests.lib.arguments import argument
from guests.lib.controller import taken
from guests.lib.ending import give_up
from guests.lib.gic import gic
from guests.lib.hypercall import power_off, start_cpu
from guests.lib.text import line
from guests.lib.timer import counter, milliseconds
from guests.lib.uart import uart
from hv.lang import Final, Never, export, extern, symbol, u64, unbounded

ROUNDS: Final = 12
ACTS: Final = 1000
PATIENCE: Final = 10_000  # milliseconds for a CPU's last act


@export
@unbounded("the rounds that were asked for")
def guest_main(tree: u64) -> None:
    uart.init()
    if any_fp() != 0:
        leak("at the start")
    seed = argument(tree, "seed", 1)
    rounds = argument(tree, "rounds", ROUNDS)
    attackers[0].init(0, seed)
    attackers[1].init(1, seed + 1000)
    gic.init()
    gic.init_cpu()
    line("READY hostile")
    second = start_cpu(1, symbol("secondary_entry"), 1)
    number: u64 = 0
    while number < rounds:
        number += 1
        go_round(number, rounds)
    if second:
        stop_second()
    line("DONE hostile ok")
    power_off()


def go_round(number: u64, rounds: u64) -> None:
    me = attackers[0]
    for _ in range(ACTS):
        if not me.act():
            leak("in the vector registers")
    recover_devices()
    if attackers[1].leaked:
        leak("in the second CPU's vector registers")
    acts = me.acts + attackers[1].acts
    exceptions = me.exceptions + attackers[1].exceptions
    interrupts = taken[0] + taken[1]
    line(f"round {number} of {rounds}: {acts} acts, {exceptions} exceptions, {interrupts} interrupts")


@unbounded("gives up after a while")
def stop_second() -> None:
    """The second CPU was not lost in what was done to it, and no longer has lines printed into the last one."""
    attackers[1].stopping = True
    deadline = counter() + milliseconds(PATIENCE)
    while not attackers[1].stopped:
        if counter() > deadline:
            give_up("the second CPU stands still")
    if attackers[1].leaked:
        leak("in the second CPU's vector registers")


def leak(where: str) -> Never:
    recover_devices()
    line(f"leak {where}")
    line("DONE hostile fail leak")
    power_off()


@export
@unbounded("until it finds a leak, or is told to stop")
def guest_secondary(number: u64) -> None:
    me = attackers[1]
    me.leaked = any_fp() != 0
    gic.init_cpu()
    while not me.leaked and not me.stopping:
        me.leaked = not me.act()
    me.stopped = True


@extern
def any_fp() -> u64: ...
