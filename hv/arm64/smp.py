"""The machine's CPUs: their numbers, and starting them, each in the way that its node names.

Number 0 is the CPU that booted; the others are numbered in the order of the tree. A CPU that does not start keeps its
number and stays offline.
"""

from hv.arch import now, relax
from hv.arm64.controller import gic
from hv.arm64.cpu_node import StartMethod, of_cpu, release_address, start_method
from hv.arm64.layout import secondary_entry
from hv.arm64.mmu import map_stack, unmap_stack
from hv.arm64.psci import SUCCESS, cpu_on
from hv.arm64.spintable import release
from hv.arm64.sysreg import AFFINITY_MASK, MPIDR_EL1
from hv.common.drivers.devicetree import is_cpu, tree
from hv.common.drivers.tree_nodes import node_of_cpu
from hv.common.kernel.cpus import online
from hv.common.kernel.log import info, warning
from hv.common.kernel.time import SECOND
from hv.common.lib.fdt import Node
from hv.common.mm.heap import heap
from hv.common.mm.nodes import CpuNode
from hv.common.mm.types import paddr_of
from hv.config import CONFIG_NR_CPUS
from hv.lang import Errno, Final, PerCpu, bounded, raises, u32, u64, unbounded

STACK_ORDER: Final[u32] = 2  # STACK_SIZE, in frames


class CpuPlace(PerCpu):
    affinity: u64  # in the form of MPIDR_EL1
    node: Node  # of every CPU but the first


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
            CpuNode.on(0).node = node_of_cpu(node)
            continue
        if cpus.count == most:
            left_out += 1
            continue
        CpuPlace.on(cpus.count).affinity = affinity
        CpuPlace.on(cpus.count).node = node
        CpuNode.on(cpus.count).node = node_of_cpu(node)
        cpus.count += 1
    if left_out != 0:
        who = "this build" if most == CONFIG_NR_CPUS else "the interrupt controller"
        warning(f"{left_out} CPUs stay off: {who} has room for {most}")


def start_other_cpus() -> None:
    for cpu in bounded(1, cpus.count, CONFIG_NR_CPUS):
        if _start(cpu) and not _wait_for(cpu):
            warning(f"CPU {cpu}: does not answer")
    info(f"{len(online)} of {cpus.count} CPUs run")


def _start(cpu: u32) -> bool:
    """False: it stays off, and a line has said why."""
    node = CpuPlace.on(cpu).node
    try:
        match start_method(node):
            case StartMethod.PSCI:
                return _start_by_firmware(cpu)
            case StartMethod.SPIN_TABLE:
                return _start_from_spin_table(cpu, node)
            case StartMethod.OTHER:
                method = of_cpu(node, "enable-method").string()
                warning(f'CPU {cpu}: {node.name}: enable-method is "{method}", and only psci and spin-table are known')
    except Errno as e:
        warning(f"CPU {cpu}: {node.name}: how it starts cannot be read ({e.name})")
    return False


def _start_by_firmware(cpu: u32) -> bool:
    if not _give_stack(cpu):
        return False
    result = cpu_on(CpuPlace.on(cpu).affinity, secondary_entry(), u64(cpu))
    if result != SUCCESS:
        heap.free(unmap_stack(cpu), STACK_ORDER)
        warning(f"CPU {cpu}: the firmware refuses to start it, error {result}")
    return result == SUCCESS


def _start_from_spin_table(cpu: u32, node: Node) -> bool:
    try:
        word = release_address(node)
    except Errno:
        warning(f'CPU {cpu}: {node.name}: property "cpu-release-addr" is missing or malformed')
        return False
    if not _give_stack(cpu):
        return False
    try:
        release(cpu, CpuPlace.on(cpu).affinity, word)
    except Errno as e:
        heap.free(unmap_stack(cpu), STACK_ORDER)
        warning(f"CPU {cpu}: its release word at {word:#x} cannot be reached ({e.name})")
        return False
    return True


def _give_stack(cpu: u32) -> bool:
    """False: there is none, and a line has said so."""
    try:
        with heap.allocated_near(STACK_ORDER, CpuNode.on(cpu).node) as stack:
            map_stack(cpu, paddr_of(stack.mfn))
            stack.keep()
    except Errno as e:
        warning(f"CPU {cpu}: there is no memory for its stack ({e.name})")
        return False
    return True


@unbounded("ends after a second")
def _wait_for(cpu: u32) -> bool:
    deadline = now() + 5 * SECOND
    while cpu not in online:
        if now() > deadline:
            return False
        relax()
    return True
