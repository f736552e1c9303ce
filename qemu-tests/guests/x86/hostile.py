"""A unikernel that does all it can to break out, or to learn what others left behind: for tests beside guests that
must not notice.

Each of its two CPUs does one wild thing after the other: hypercalls of any number with pointers to anywhere, privileged
instructions, model-specific registers, ports, the local APIC by instructions of all forms, over page ends and changed
meanwhile. An exception is what it expects, and survives. Before that it goes through ranges of model-specific
registers, ports and the local APIC's registers.

Its vector registers hold a pattern that only it knows. `DONE hostile fail leak`: they, or the debug registers, held
anything else, at the start or later. After the last round it says `DONE hostile ok` and powers off.

Words of the command line: seed=N; rounds=N, of ACTS wild things of the first CPU each; step=N, of what it goes through
every Nth; memory=N, MiB.
"""

from guests.x86.attacks import (
    ACCESSES,
    CHANGING,
    FORMS,
    PAGE_SIZE,
    PORTS,
    attackers,
    map_little,
    recover_controller,
    survive,
    try_port,
    try_register,
)
from guests.x86.lib.arguments import argument
from guests.x86.lib.cpu import pause, timestamp
from guests.x86.lib.exceptions import allow_no_execute, take_on_own_stack, use_own_stack
from guests.x86.lib.hypercall import POWER_OFF, end
from guests.x86.lib.interrupts import APIC_PAGE, fill_table, taken
from guests.x86.lib.secondary import start_other
from guests.x86.lib.text import line
from hv.lang import Final, array, export, extern, u16, u32, u64, unbounded

ROUNDS: Final = 4
ACTS: Final = 1000
PATIENCE: Final[u64] = 20_000_000_000  # ticks of the TSC
RANGES: Final[array[u64, 8]] = array(
    0, 0x2000, 0x4000_0000, 0x100, 0xC000_0000, 0x2000, 0xC001_0000, 0x2000
)  # of model-specific registers: the first, and how many
RANDOM_REGISTERS: Final = 10_000


@export
@unbounded("the rounds that were asked for")
def guest_main(information: u64) -> None:
    found = any_vectors()
    if found != 0:
        leak("at the start", found)
    allow_no_execute()
    seed = argument(information, "seed", 1)
    rounds = argument(information, "rounds", ROUNDS)
    step = argument(information, "step", 16)
    map_little(argument(information, "memory", 16) << 20)
    attackers[0].init(0, seed)
    attackers[1].init(1, seed + 1000)
    fill_table()
    take_on_own_stack()
    use_own_stack(0)
    taken.survives = True
    taken.exception = survive
    recover_controller()
    line("READY hostile")
    go_through(seed, step)
    start_other()
    number: u64 = 0
    while number < rounds:
        number += 1
        go_round(number, rounds)
    stop_second()
    line("DONE hostile ok")
    end(POWER_OFF)


@unbounded("the end of each range")
def go_through(seed: u64, step: u64) -> None:
    me = attackers[0]
    start = seed % step
    for i in range(4):
        at = start
        while at < RANGES[i * 2 + 1]:
            register = u32(RANGES[i * 2] + at)
            try_register(me, register, False)
            try_register(me, register, True)
            at += step
    for _ in range(RANDOM_REGISTERS):
        if me.random.below(step) == 0:
            register = u32(me.random.word() >> 32)
            try_register(me, register, False)
            try_register(me, register, True)
    recover_controller()
    line(f"model-specific registers: {me.exceptions} exceptions")
    port = start
    while port < 0x1_0000:
        for i in range(6):
            try_port(me, u16(port), PORTS[i])
        port += step
    line("ports")
    offset = start
    while offset < PAGE_SIZE:
        for i in range(FORMS):
            if offset & ~u64(0x1F) != 0x300 or i < CHANGING:
                me._run(ACCESSES[i], APIC_PAGE + offset)
        offset += step
    recover_controller()
    line(f"local APIC: {me.exceptions} exceptions")


def go_round(number: u64, rounds: u64) -> None:
    me = attackers[0]
    for _ in range(ACTS):
        if not me.act():
            leak("in the vector registers", me.leaked)
    recover_controller()
    if attackers[1].leaked != 0:
        leak("in the second CPU's vector registers", attackers[1].leaked)
    acts = me.acts + attackers[1].acts
    exceptions = me.exceptions + attackers[1].exceptions
    line(f"round {number} of {rounds}: {acts} acts, {exceptions} exceptions")


@unbounded("gives up after a while")
def stop_second() -> None:
    """The second CPU was not lost in what was done to it, and no longer has lines printed into the last one."""
    attackers[1].stopping = True
    deadline = timestamp() + PATIENCE
    while not attackers[1].stopped:
        pause()
        if timestamp() > deadline:
            fail("the second CPU stands still")
    if attackers[1].leaked != 0:
        leak("in the second CPU's vector registers", attackers[1].leaked)


def leak(where: str, found: u64) -> None:
    line(f"leak {where}: {found:#x}")
    fail("leak")


def fail(reason: str) -> None:
    line(f"DONE hostile fail {reason}")
    end(POWER_OFF)


@export
@unbounded("until it finds a leak, or is told to stop")
def guest_secondary() -> None:
    me = attackers[1]
    me.leaked = any_vectors()
    allow_no_execute()
    fill_table()
    take_on_own_stack()
    use_own_stack(1)
    recover_controller()
    while me.leaked == 0 and not me.stopping:
        me.act()
    me.stopped = True


@extern
def any_vectors() -> u64: ...
