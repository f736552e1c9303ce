"""A unikernel that does all it can to break out, or to learn what others left behind: for tests beside guests that
must not notice.

It goes through every register of the interrupt controller and the UART in all widths (sweep.py), through debug and
other system registers (probes.py), steps over what is emulated (steps.py), raises storms of interrupts and maintenance
(storms.py) and calls the firmware with all that is wrong (abuse.py). Then each of its CPUs does one wild thing after
the other (attacks.py): loads, stores and jumps all over the guest-physical space, instructions that there are not,
system registers, calls with any number, and all of the above at random. An exception is what it expects, and survives.
At last its second CPU, switched on where there is no code, raises exceptions until the end.

Its vector and some other registers hold a pattern that only it knows. `DONE hostile fail leak`: they, or the registers
of a CPU that starts, held anything else. `DONE hostile fail wrong`: an answer was not the one that the architecture
defines; a line has told which. After the last round it says `DONE hostile ok` and powers off.

Words of the command line: seed=N; after=N, milliseconds that it sleeps first; rounds=N, of ACTS wild things of the
first CPU each; step=N, of what it goes through every Nth (1: all), but for what is worth it always; lives=N, of the
second CPU before the rounds.
"""

from guests.abuse import abuse_firmware, live_once, second, switch_off, unleash
from guests.accesses import prepare_accesses
from guests.attacks import attackers
from guests.attempts import attempts
from guests.lib.arguments import argument
from guests.lib.controller import taken
from guests.lib.ending import give_up
from guests.lib.gic import gic
from guests.lib.hypercall import power_off, start_cpu
from guests.lib.text import line
from guests.lib.timer import INTID, counter, milliseconds, sleep
from guests.lib.uart import uart
from guests.probes import look_for_leftovers, probe
from guests.steps import step_over_all
from guests.storms import storm
from guests.sweep import sweep
from guests.verdict import conclude, leak, recover_devices
from hv.lang import Final, export, symbol, u64, unbounded

ROUNDS: Final = 12
ACTS: Final = 1000
STEP: Final = 64
LIVES: Final = 50
PATIENCE: Final = 10_000  # milliseconds for a CPU's last act


@export
@unbounded("the rounds that were asked for")
def guest_main(tree: u64) -> None:
    look_for_leftovers()
    uart.init()
    seed = argument(tree, "seed", 1)
    rounds = argument(tree, "rounds", ROUNDS)
    for i in range(2):
        attempts[i].number = u64(i)
        attackers[i].init(u64(i), seed + 1000 * u64(i))
    prepare_accesses()
    gic.init()
    gic.init_cpu()
    line("READY hostile")
    gic.enable(INTID)
    sleep(milliseconds(argument(tree, "after", 0)))
    examine(seed, argument(tree, "step", STEP), argument(tree, "lives", LIVES))
    other = start_cpu(1, symbol("secondary_entry"), 1)
    number: u64 = 0
    while number < rounds:
        number += 1
        go_round(number, rounds)
    if other:
        stop_second()
        unleash()
    conclude()
    line("DONE hostile ok")
    power_off()


def examine(seed: u64, step: u64, lives: u64) -> None:
    step_over_all()
    told("single steps")
    sweep(step, seed)
    told("registers of devices")
    probe(step, seed)
    told("registers of the CPU")
    storm(seed)
    told("storms")
    abuse_firmware(seed, lives)
    told("firmware")


def told(what: str) -> None:
    gic.init_cpu()
    conclude()
    line(f"{what}: {attempts[0].exceptions} exceptions, {taken[0]} interrupts")


def go_round(number: u64, rounds: u64) -> None:
    me = attackers[0]
    for _ in range(ACTS):
        if not me.act():
            leak("in the first CPU's registers")
    recover_devices()
    if attackers[1].leaked:
        leak("in the second CPU's registers")
    acts = me.acts + attackers[1].acts
    exceptions = attempts[0].exceptions + attempts[1].exceptions
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
        leak("in the second CPU's registers")


@export
@unbounded("until it finds a leak, or is told to stop; then it is off")
def guest_secondary(number: u64) -> None:
    if second.blinks:
        live_once()
    look_for_leftovers()
    me = attackers[1]
    gic.init_cpu()
    while not me.leaked and not me.stopping:
        me.leaked = not me.act()
    me.stopped = True
    while True:
        switch_off()
