"""Which CPUs let a guest steer the hypervisor's speculation through the branch predictor (CVE-2017-5715, Spectre v2;
CVE-2022-23960, Spectre-BHB), and what helps.

Sources: Arm, Cache Speculation Side-channels (2020), and Spectre-BHB (2022), 4.2, for the branches that displace the
history; Arm DEN 0028, 7, for the firmware's functions.
"""

from hv.arm64.errata import ARM, MainId
from hv.lang import Final, i32, u32, u64, value

ARCH_WORKAROUND_1: Final[u64] = 0x8000_8000  # for CVE-2017-5715
ARCH_WORKAROUND_3: Final[u64] = 0x8000_3FFF  # for that and CVE-2022-23960
IMPLEMENTED: Final[i32] = 0  # and this CPU needs it
NOT_NEEDED: Final[i32] = 1
NOT_SUPPORTED: Final[i32] = -1

ISOLATES_TARGETS: Final[u64] = 1  # ID_AA64PFR0_EL1.CSV2: branch targets are each context's own
ISOLATES_HISTORY: Final[u64] = 3  # and the history of branches
UNKNOWN_DEPTH: Final[u64] = 32  # as much as any CPU needs that does not say otherwise


@value
class Guard:
    function: u64  # the firmware's; 0: none
    branches: u64
    open: bool  # something is left that neither helps against


def guard_for(cpu: MainId, isolated: u64, forgets_all: i32, forgets_targets: i32) -> Guard:
    """The firmware's answers are about SMCCC_ARCH_WORKAROUND_3 and 1."""
    if isolated >= ISOLATES_HISTORY or forgets_all == NOT_NEEDED or is_safe(cpu):
        return Guard(0, 0, False)
    if forgets_all == IMPLEMENTED:
        return Guard(ARCH_WORKAROUND_3, 0, False)
    branches = depth(cpu)
    if isolated < ISOLATES_TARGETS and forgets_targets == IMPLEMENTED:
        return Guard(ARCH_WORKAROUND_1, branches, branches == 0)
    exposed = isolated < ISOLATES_TARGETS and forgets_targets != NOT_NEEDED
    return Guard(0, branches, branches == 0 or exposed)


def is_safe(cpu: MainId) -> bool:
    """CPUs that do not speculate so far: Cortex-A35, A53, A55."""
    return u32(cpu.implementer) == ARM and u32(cpu.part) in (0xD04, 0xD03, 0xD05)


def depth(cpu: MainId) -> u64:
    """How many taken branches displace what a guest left in the history. 0: none do."""
    if u32(cpu.implementer) != ARM:
        return UNKNOWN_DEPTH
    match cpu.part:
        case 0xD09 | 0xD0A:  # Cortex-A73, A75
            return 0
        case 0xD07 | 0xD08:  # A57, A72
            return 8
        case 0xD0B | 0xD0C | 0xD0D:  # A76, Neoverse N1, A77
            return 24
        case 0xD4D | 0xD81:  # A715, A720
            return 38
        case 0xD4E | 0xD4F:  # X3, Neoverse V2
            return 132
        case _:
            return UNKNOWN_DEPTH


def combined(a: Guard, b: Guard) -> Guard:
    """What does for both. Of the functions, the third contains the first."""
    function = a.function if b.function == 0 or a.function == ARCH_WORKAROUND_3 else b.function
    return Guard(function, max(a.branches, b.branches), a.open or b.open)
