"""The machine's CPUs: their numbers, and starting them through the firmware.

Number 0 is the CPU that booted; the others are numbered in the order of the tree. A CPU that does not start keeps its
number and stays offline.
"""

from hv.arch import now, relax
from hv.arm64.controller import gic
from hv.arm64.layout import secondary_entry
from hv.arm64.mmu import map_stack
from hv.arm64.psci import SUCCESS, cpu_on
from hv.arm64.sysreg import AFFINITY_MASK, MPIDR_EL1
from hv.common.drivers.devicetree import is_cpu, tree
from hv.common.kernel.cpus import online
from hv.common.kernel.log import info, warning
from hv.common.kernel.time import SECOND
from hv.common.mm.heap import heap
from hv.common.mm.types import paddr_of
from hv.config import CONFIG_NR_CPUS
from hv.lang import Errno, Final, PerCpu, bounded, raises, u32, u64, unbounded

STACK_ORDER: Final[u32] = 2  # STACK_SIZE, in frames


class CpuPlace(PerCpu):
    affinity: u64  # in the form of MPIDR_EL1


class Cpus:
    count: u32  # CPUs with a number


cpus: Final = Cpus()


@raises
def number_cpus() -> None:
    """ENOENT: the tree has no /cpus. EINVAL: a CPU's node is malformed."""
    here = MPIDR_EL1.read() & AFFINITY_MASK
    CpuPlace.on(0).affinity = here
    cpus.count = 1
    most = min(gic.driver.most_cpus(), CONFIG_NR_CPUS)
    left_out: u32 = 0
    for node in tree.find("/cpus").children():
        if not is_cpu(node) or not node.enabled:
            continue
        affinity = node.raw_reg(0).start & AFFINITY_MASK
        if affinity == here:
            continue
        if cpus.count == most:
            left_out += 1
            continue
        CpuPlace.on(cpus.count).affinity = affinity
        cpus.count += 1
    if left_out != 0:
        who = "this build" if most == CONFIG_NR_CPUS else "the interrupt controller"
        warning(f"{left_out} CPUs stay off: {who} has room for {most}")


def start_other_cpus() -> None:
    for cpu in bounded(1, cpus.count, CONFIG_NR_CPUS):
        try:
            map_stack(cpu, paddr_of(heap.allocate(STACK_ORDER)))
        except Errno as e:
            warning(f"CPU {cpu}: there is no memory for its stack ({e.name})")
            continue
        result = cpu_on(CpuPlace.on(cpu).affinity, secondary_entry(), u64(cpu))
        if result != SUCCESS:
            warning(f"CPU {cpu}: the firmware refuses to start it, error {result}")
        elif not _wait_for(cpu):
            warning(f"CPU {cpu}: does not answer")
    info(f"{len(online)} of {cpus.count} CPUs run")


@unbounded("ends after a second")
def _wait_for(cpu: u32) -> bool:
    deadline = now() + SECOND
    while cpu not in online:
        if now() > deadline:
            return False
        relax()
    return True
