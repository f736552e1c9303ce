"""What has to be done about speculation when a guest is entered, and when another takes its place: hooks, which modules
add and a CPU runs that has what they need.

Sources: Intel, "Speculative Execution Side Channel Mitigations" (336996) and "Microarchitectural Data Sampling"; AMD,
"Indirect Branch Control Extension" (111006). The hypervisor's own indirect calls are retpolines where the configuration
says so.
"""

from hv.common.kernel.log import debug
from hv.lang import Callable, Final, Registry, address_of, array, asm, truncate, u16, u32, u64, value
from hv.x86.cpu import read_msr_or, write_msr
from hv.x86.cpuid import EXTENDED, Leaf

PREDICTION_COMMAND: Final[u32] = 0x49
BARRIER: Final[u64] = 1  # IBPB
MICROCODE: Final[u32] = 0x8B
DATA_SELECTOR: Final[u16] = 0x10


class Controls:
    """Of the boot CPU."""

    restricts_branches: bool  # IBRS
    has_branch_barrier: bool  # IBPB
    separates_threads: bool  # STIBP
    stops_store_bypass: bool  # SSBD
    clears_buffers: bool  # VERW does, MD_CLEAR
    flushes_l1: bool
    microcode: u32
    selector: array[u16, 4]  # of a data segment, for VERW


controls: Final = Controls()


@value
class Hook:
    """A measure: what it takes of `Controls`, and what is done."""

    name: str
    run: Callable[[Controls], None]


entry_hooks: Final = Registry[Hook]()
switch_hooks: Final = Registry[Hook]()


def at_entry() -> None:
    """On the way into a guest, behind everything that the hypervisor does itself."""
    for hook in entry_hooks:
        hook.run(controls)


def at_switch() -> None:
    """When a CPU is about to enter another domain than it ran before."""
    for hook in switch_hooks:
        hook.run(controls)


@entry_hooks.entry(name="VERW")
def clear_buffers(has: Controls) -> None:
    """Nothing of the hypervisor's data stays in the buffers that a guest could sample."""
    if has.clears_buffers:
        verify_write(address_of(has.selector))


@switch_hooks.entry(name="IBPB")
def forget_branches(has: Controls) -> None:
    """What one domain taught the branch predictor does not steer another."""
    if has.has_branch_barrier:
        write_msr(PREDICTION_COMMAND, BARRIER)


@asm("verw ({selector})")
def verify_write(selector: u64) -> None:
    """Of a selector in memory; microcode clears the buffers besides."""
    ...


def find_controls() -> None:
    """On the boot CPU, and again when its microcode has changed."""
    leaf = Leaf()
    leaf.read(7)
    controls.restricts_branches = leaf.edx & 1 << 26 != 0
    controls.has_branch_barrier = leaf.edx & 1 << 26 != 0
    controls.separates_threads = leaf.edx & 1 << 27 != 0
    controls.flushes_l1 = leaf.edx & 1 << 28 != 0
    controls.stops_store_bypass = leaf.edx & u32(1) << 31 != 0
    controls.clears_buffers = leaf.edx & 1 << 10 != 0
    leaf.read(EXTENDED + 8)
    controls.restricts_branches = controls.restricts_branches or leaf.ebx & 1 << 14 != 0
    controls.has_branch_barrier = controls.has_branch_barrier or leaf.ebx & 1 << 12 != 0
    controls.separates_threads = controls.separates_threads or leaf.ebx & 1 << 15 != 0
    controls.stops_store_bypass = controls.stops_store_bypass or leaf.ebx & 1 << 24 != 0
    controls.microcode = microcode_revision()
    controls.selector[0] = DATA_SELECTOR
    debug(
        f"speculation: IBRS {controls.restricts_branches}, IBPB {controls.has_branch_barrier}, STIBP "
        f"{controls.separates_threads}, SSBD {controls.stops_store_bypass}, MD_CLEAR {controls.clears_buffers}, "
        f"L1D_FLUSH {controls.flushes_l1}, microcode {controls.microcode:#x}"
    )


def microcode_revision() -> u32:
    """0: the CPU does not say. Intel has it in the upper half of the register, AMD in the lower."""
    found = read_msr_or(MICROCODE, 0)
    return truncate(u32, found >> 32 if found >> 32 != 0 else found)
