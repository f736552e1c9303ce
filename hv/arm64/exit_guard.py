"""Keeping guests from steering the hypervisor's speculation: what predictor.py prescribes is done at each exit.

A CPU that needs it uses other vectors (boot/arm64/guarded.S); the rest pay nothing.
"""

from hv.arch import cpu_id
from hv.arm64.cpu import complete_stores, instruction_barrier, store_word
from hv.arm64.cpustart import cpu_starts
from hv.arm64.errata import MainId
from hv.arm64.firmware import has_feature
from hv.arm64.layout import exit_guard, guarded_vectors
from hv.arm64.predictor import ARCH_WORKAROUND_1, ARCH_WORKAROUND_3, Guard, combined, guard_for
from hv.arm64.sysreg import ID_AA64PFR0_EL1, MIDR_EL1, VBAR_EL2
from hv.common.kernel.log import info, warning
from hv.lang import Bits, Field, Final, u64

AT_FUNCTION: Final[u64] = 0
AT_BRANCHES: Final[u64] = 8


class Predictor(Bits[u64]):
    """ID_AA64PFR0_EL1."""

    isolated = Field(59, 56)  # CSV2


class Common:
    """What the guarded vectors do. CPUs of several kinds share it: what one needs harms no other."""

    guard: Guard


common: Final = Common()


@cpu_starts.entry()
def guard_exits() -> None:
    """CPUs start one after the other."""
    cpu = MainId(MIDR_EL1.read())
    isolated = Predictor(ID_AA64PFR0_EL1.read()).isolated
    own = guard_for(cpu, isolated, has_feature(ARCH_WORKAROUND_3), has_feature(ARCH_WORKAROUND_1))
    before = common.guard
    after = combined(before, own)
    common.guard = after
    if after.open and not before.open:
        warning(f"CPU {cpu_id()}: guests can steer its branch predictor, and its firmware has no remedy")
    if own.function == 0 and own.branches == 0:
        return
    store_word(exit_guard() + AT_FUNCTION, after.function)
    store_word(exit_guard() + AT_BRANCHES, after.branches)
    complete_stores()
    VBAR_EL2.write(guarded_vectors())
    instruction_barrier()
    if after.function != before.function:
        info(f"CPU {cpu_id()}: at each exit of a guest the firmware is called, function {after.function:#x}")
    if after.branches != before.branches:
        info(f"CPU {cpu_id()}: at each exit of a guest {after.branches} branches displace what it left in the history")
