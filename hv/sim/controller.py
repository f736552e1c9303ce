"""What the guest side of arm64 needs of the simulated machine: its own idea of vCPUs, and an interrupt controller,
which notes what becomes of the virtual timer's interrupt and of shared ones. When these come, the test says.
"""

from hv.arm64.controller import (
    FIRST_SHARED,
    FIRST_SPECIAL,
    MAINTENANCE,
    InterruptController,
    LineState,
    Trigger,
    gic,
)
from hv.arm64.cpu_node import StartMethod, release_address, start_method
from hv.arm64.devices import arm64_devices
from hv.arm64.gicv2 import GicV2, gicv2
from hv.arm64.guest_map import is_gicv2
from hv.arm64.guest_places import arm64_parts
from hv.arm64.guests import choose
from hv.arm64.smmuv3 import find_iommus
from hv.arm64.timer import counter
from hv.arm64.timer_node import timer_node
from hv.arm64.vcpu import vcpu_machine
from hv.common.builder.device_machine import device_machines
from hv.common.builder.guest_parts import guest_machine
from hv.common.drivers.devicetree import tree
from hv.common.drivers.tree_nodes import node_of_cpu
from hv.common.lib.fdt import Node
from hv.common.lib.span import Bytes
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import Paddr
from hv.common.model.vcpu import architecture
from hv.config import CONFIG_NR_CPUS
from hv.lang import Errno, Final, PerCpu, array, raises, u32, u64
from hv.sim.machine import kick

GICH: Final[u64] = 0x0804_0000
GICV: Final = Paddr(0x0806_0000)
NOTHING_PENDING: Final[u32] = 1023
VIRTUAL_TIMER: Final[u32] = 27


class PhysicalTimer(PerCpu):
    """The interrupt's state on this CPU."""

    active: bool
    deactivations: u32


class SharedInterrupt:
    """What the distributor holds of one. `pending` is the latch of an edge."""

    enabled: bool
    edge: bool
    line: bool
    pending: bool
    active: bool
    cpu: u32


class SimulatedController(InterruptController):
    shared: array[SharedInterrupt, FIRST_SPECIAL]  # by number
    count: u32

    @raises
    def init(self, node: Node, windows: RegisterWindows) -> None:
        pass

    def most_cpus(self) -> u32:
        return CONFIG_NR_CPUS

    def start_cpu(self) -> None:
        pass

    def supports(self, intid: u32) -> bool:
        return intid < self.count

    def configure(self, intid: u32, trigger: Trigger) -> None:
        self.shared[intid].edge = trigger == Trigger.EDGE

    def enable(self, intid: u32) -> None:
        self.shared[intid].enabled = True

    def disable(self, intid: u32) -> None:
        self.shared[intid].enabled = False

    def route(self, intid: u32, cpu: u32) -> None:
        self.shared[intid].cpu = cpu

    def acknowledge(self) -> u32:
        return NOTHING_PENDING

    def end(self, intid: u32) -> None:
        pass

    def deactivate(self, intid: u32) -> None:
        PhysicalTimer.this().active = False
        PhysicalTimer.this().deactivations += 1

    def make_inactive(self, intid: u32) -> None:
        assert intid >= FIRST_SHARED, "of a CPU's own interrupts `deactivate`"
        self.shared[intid].active = False

    def clear_pending(self, intid: u32) -> None:
        self.shared[intid].pending = False

    def activate(self, intid: u32) -> None:
        PhysicalTimer.this().active = True

    def send_ipi(self, intid: u32, cpu: u32) -> None:
        kick(cpu)

    def state(self, intid: u32) -> LineState:
        if intid >= FIRST_SHARED:
            it = self.shared[intid]
            pending = it.pending or (it.line and not it.edge)
            return LineState(enabled=it.enabled, pending=pending, active=it.active, cpu=it.cpu)
        active = intid == VIRTUAL_TIMER and PhysicalTimer.this().active
        return LineState(enabled=True, pending=False, active=active, cpu=0)

    def virtual_version(self) -> u32:
        return 2 if is_gicv2() else 3

    def maintenance(self) -> u32:
        return MAINTENANCE


class IdentityWindows(RegisterWindows):
    """Registers are at their physical addresses."""

    mapped: u32

    @raises
    def map(self, registers: Paddr, length: u64) -> u64:
        self.mapped += 1
        return registers

    def unmap(self, address: u64) -> None:
        self.mapped -= 1


simulated_controller: Final = SimulatedController()
identity_windows: Final = IdentityWindows()


def use_arm64_guests(frequency: u64, second: bool) -> None:
    """`frequency`: ticks of the counter in a second. `second`: guests get a GICv2, and the machine has its registers at
    GICH and GICV.
    """
    architecture.vcpus = vcpu_machine
    gic.driver = simulated_controller
    simulated_controller.count = FIRST_SPECIAL
    gicv2.control = GICH
    gicv2.virtual = GICV
    choose(second)
    timer_node.virtual = VIRTUAL_TIMER
    counter.frequency = frequency


def use_arm64_devices() -> None:
    """Guests may own devices, whose interrupts are those of a controller as on arm64, and find controller and UART
    where arm64's do."""
    gic.driver = simulated_controller
    simulated_controller.count = FIRST_SPECIAL
    device_machines.machine = arm64_devices
    guest_machine.parts = arm64_parts


def find_smmus() -> None:
    find_iommus(identity_windows)


@raises
def take(driver: GicV2, blob: Bytes) -> None:
    """The driver takes over the controller in the tree's first node."""
    tree.init(blob)
    for node in tree.root().children():
        driver.init(node, identity_windows)
        return


# A tree's CPUs


@raises
def node_of_tree_cpu(blob: Bytes, cpu: u32) -> u32:
    """The NUMA node of the CPU in this place, when the tree's memory has been read."""
    tree.init(blob)
    left = cpu
    for node in tree.find("/cpus").children():
        if left == 0:
            return node_of_cpu(node)
        left -= 1
    raise Errno.ENOENT


@raises
def cpu_start_method(blob: Bytes) -> StartMethod:
    return start_method(first_cpu(blob))


@raises
def cpu_start_word(blob: Bytes) -> Paddr:
    return release_address(first_cpu(blob))


@raises
def first_cpu(blob: Bytes) -> Node:
    tree.init(blob)
    for node in tree.find("/cpus").children():
        return node
    raise Errno.ENOENT
