"""Abuse of the firmware's interface (Arm DEN 0022, DEN 0028): every function with every argument that is wrong, by HVC
and SMC, and a second CPU that is switched on and off without end. Each error is the one that the interface names.
"""

from guests.lib.cpu import nothing
from guests.lib.gic import gic
from guests.lib.hypercall import PSCI_CPU_ON, hvc, smc, start_cpu, xen_call
from guests.lib.random import Random
from guests.lib.timer import CNTV_CTL_EL0, CNTV_CVAL_EL0, ENABLE, INTID, counter, milliseconds, stop
from guests.probes import look_for_leftovers
from guests.verdict import complain, expect
from hv.lang import Final, array, symbol, truncate, u32, u64, unbounded, value

VERSION: Final[u64] = 0x8400_0000
SUSPEND: Final[u64] = 0x8400_0001
CPU_OFF: Final[u64] = 0x8400_0002
CPU_ON: Final[u64] = 0x8400_0003
AFFINITY_INFO: Final[u64] = 0x8400_0004
MIGRATE_TYPE: Final[u64] = 0x8400_0006
FEATURES: Final[u64] = 0x8400_000A
SMCCC_VERSION: Final[u64] = 0x8000_0000
WIDE: Final[u64] = 0x4000_0000  # in a function's number: it has 64 bits
SYSTEM_OFF: Final[u64] = 0x8400_0008
SYSTEM_RESET: Final[u64] = 0x8400_0009

SUCCESS: Final[u32] = 0
NOT_SUPPORTED: Final[u32] = 0xFFFF_FFFF
INVALID: Final[u32] = 0xFFFF_FFFE
ALREADY_ON: Final[u32] = 0xFFFF_FFFC
INVALID_ADDRESS: Final[u32] = 0xFFFF_FFF7
ON: Final[u32] = 0
OFF: Final[u32] = 1

ONES: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF
HALF: Final[u64] = 0xFFFF_FFFF
SECOND: Final[u64] = 1  # its affinity
SECOND_NUMBER: Final[u64] = 1
WILD_CALLS: Final = 500
SUSPENSIONS: Final = 8
PATIENCE: Final[u64] = 10_000  # milliseconds
MEMORY: Final[u64] = 0x4000_0000
ENOSYS: Final[u64] = 0xFFFF_FFFF_FFFF_FFDA  # -38
SCHED_OP: Final[u64] = 29
HYPERCALLS: Final = 64


@value
class Wrong:
    """A call with what it answers, as 64-bit and, where there is one, as 32-bit function."""

    function: u64
    first: u64
    second: u64
    answer: u32


WRONG: Final[array[Wrong, 30]] = array(
    Wrong(VERSION, 0, 0, 0x1_0001),
    Wrong(SMCCC_VERSION, 0, 0, 0x1_0001),
    Wrong(MIGRATE_TYPE, 0, 0, 2),
    Wrong(FEATURES, VERSION, 0, 0),
    Wrong(FEATURES, CPU_ON | WIDE, 0, 0),
    Wrong(FEATURES, VERSION | WIDE, 0, NOT_SUPPORTED),
    Wrong(FEATURES, 0x8400_00FF, 0, NOT_SUPPORTED),
    Wrong(FEATURES, FEATURES | WIDE, 0, NOT_SUPPORTED),
    Wrong(0x8400_0005, SECOND, 0, NOT_SUPPORTED),  # MIGRATE
    Wrong(0x8400_000B, 0, 0, NOT_SUPPORTED),  # CPU_FREEZE
    Wrong(0x8400_000C, MEMORY, 0, NOT_SUPPORTED),  # CPU_DEFAULT_SUSPEND
    Wrong(0x8400_000E, MEMORY, 0, NOT_SUPPORTED),  # SYSTEM_SUSPEND
    Wrong(0x8400_0012, 0, 0, NOT_SUPPORTED),  # SYSTEM_RESET2
    Wrong(VERSION | WIDE, 0, 0, NOT_SUPPORTED),
    Wrong(CPU_OFF | WIDE, 0, 0, NOT_SUPPORTED),
    Wrong(SYSTEM_OFF | WIDE, 0, 0, NOT_SUPPORTED),
    Wrong(SYSTEM_RESET | WIDE, 0, 0, NOT_SUPPORTED),
    Wrong(SYSTEM_OFF & ~u64(1 << 31), 0, 0, NOT_SUPPORTED),  # a call that yields
    Wrong(CPU_ON, 0, MEMORY, ALREADY_ON),
    Wrong(CPU_ON, 2, MEMORY, INVALID),
    Wrong(CPU_ON, 0x100, MEMORY, INVALID),
    Wrong(CPU_ON, 0x8000_0001, MEMORY, INVALID),
    Wrong(CPU_ON, HALF, MEMORY, INVALID),
    Wrong(CPU_ON, 0, 0, INVALID_ADDRESS),
    Wrong(CPU_ON, 0, MEMORY + 1, INVALID_ADDRESS),
    Wrong(CPU_ON, 0, 0x0300_1000, INVALID_ADDRESS),  # a device
    Wrong(CPU_ON, 0, HALF & ~u64(3), INVALID_ADDRESS),
    Wrong(AFFINITY_INFO, 0, 0, ON),
    Wrong(AFFINITY_INFO, HALF, 0, INVALID),
    Wrong(AFFINITY_INFO, 0, 4, INVALID),
)
WIDE_WRONG: Final[array[Wrong, 4]] = array(
    Wrong(CPU_ON | WIDE, 1 << 32, MEMORY, INVALID),
    Wrong(CPU_ON | WIDE, 1 << 63, MEMORY, INVALID),
    Wrong(CPU_ON | WIDE, 0, 1 << 40 | MEMORY, INVALID_ADDRESS),
    Wrong(AFFINITY_INFO | WIDE, 0, 1 << 32, INVALID),
)


class Second:
    """The other CPU, as long as it is only switched on and off."""

    blinks: bool
    lives: u64


second: Final = Second()


def abuse_firmware(seed: u64, lives: u64) -> None:
    """`lives`: how often the second CPU is switched on, if there is one."""
    for wrong in WRONG:
        try_call(wrong.function, wrong.first, wrong.second, wrong.answer)
        if has_wide_form(wrong.function):
            try_call(wrong.function | WIDE, wrong.first, wrong.second, wrong.answer)
            try_call(wrong.function, ONES << 32 | wrong.first, ONES << 32 | wrong.second, wrong.answer)
    for wide in WIDE_WRONG:
        try_call(wide.function, wide.first, wide.second, wide.answer)
    random = Random()
    random.init(seed)
    for _ in range(WILD_CALLS):
        call_wildly(random)
    for _ in range(SUSPENSIONS):
        suspend(SUSPEND, random)
        suspend(SUSPEND | WIDE, random)
    for number in range(HYPERCALLS):
        if u64(number) != SCHED_OP:
            expect("hypercall", u64(number), xen_call(u64(number), random.word(), random.word()), ENOSYS)
    expect("hypercall", ONES, xen_call(ONES, random.word(), random.word()), ENOSYS)
    if info(SECOND) == OFF:
        blink(lives)


def has_wide_form(function: u64) -> bool:
    return function == CPU_ON or function == AFFINITY_INFO


def try_call(function: u64, first: u64, second: u64, answer: u32) -> None:
    expect("HVC", function, u64(truncate(u32, hvc(function, first, second, ONES))), u64(answer))
    expect("SMC", function, u64(truncate(u32, smc(function, first, second, ONES))), u64(answer))


def call_wildly(random: Random) -> None:
    """Functions that nobody has, of all owners."""
    function = random.word() & HALF
    if random.chance(2):
        function = 0x8400_0000 | random.below(2) << 30 | 0x20 + random.below(0x1_0000 - 0x20)
    ours = function & 0xBFFF_FFE0 == VERSION or function & 0xBFFF_FFFE == SMCCC_VERSION
    if not ours:
        try_call(random.word() << 32 | function, random.word(), random.word(), NOT_SUPPORTED)


def suspend(function: u64, random: Random) -> None:
    """With an interrupt pending, masked: it goes on at once, and behind the call."""
    gic.enable(INTID)
    CNTV_CVAL_EL0.write(0)
    CNTV_CTL_EL0.write(ENABLE)
    expect("CPU_SUSPEND", function, hvc(function, random.word(), random.word(), random.word()), u64(SUCCESS))
    expect("CPU_SUSPEND", function, smc(function, random.word(), random.word(), random.word()), u64(SUCCESS))
    stop()


def info(affinity: u64) -> u32:
    return truncate(u32, hvc(AFFINITY_INFO | WIDE, affinity, 0, 0))


def blink(lives: u64) -> None:
    """On, and off by itself at once. In each life it finds nothing of the one before."""
    second.blinks = True
    live(lives)
    second.blinks = False


@unbounded("the lives that were asked for")
def live(lives: u64) -> None:
    started: u64 = 0
    while started < lives:
        if not start_cpu(SECOND, symbol("secondary_entry"), SECOND_NUMBER):
            complain("wrong: a CPU that is off is not switched on")
            return
        started += 1
        again = truncate(u32, hvc(PSCI_CPU_ON, SECOND, symbol("secondary_entry"), SECOND_NUMBER))
        if again == SUCCESS:
            started += 1
        else:
            expect("CPU_ON", PSCI_CPU_ON, u64(again), u64(ALREADY_ON))
        if not is_switched_off():
            complain("wrong: a CPU that has switched itself off is on")
            return
    expect("lives of CPU", SECOND, second.lives, started)


@unbounded("gives up after a while")
def is_switched_off() -> bool:
    """Whether it is in the end."""
    deadline = counter() + milliseconds(PATIENCE)
    while info(SECOND) != OFF:
        nothing()
        if counter() > deadline:
            return False
    return True


@unbounded("it is off")
def live_once() -> None:
    """The second CPU's life."""
    look_for_leftovers()
    second.lives += 1
    while True:
        switch_off()


def switch_off() -> None:
    hvc(CPU_OFF, 0, 0, 0)


def unleash() -> None:
    """The second CPU goes on where there is no code, and there are no vectors: an exception follows the other until
    the guest ends.
    """
    if is_switched_off():
        expect("CPU_ON", PSCI_CPU_ON, hvc(PSCI_CPU_ON, SECOND, MEMORY, ONES), u64(SUCCESS))
