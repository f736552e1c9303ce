"""The nodes of a guest's device tree that are Arm's: CPUs and PSCI, interrupt controller, timer, UART.

Bindings: Linux, Documentation/devicetree/bindings: arm/cpus.yaml, arm/psci.yaml, interrupt-controller/arm,gic-v3.yaml,
timer/arm,arch_timer.yaml, serial/arm_sbsa_uart.txt.
"""

from hv.arm64.guest_map import (
    GICD_BASE,
    GICD_SIZE,
    GICR_BASE,
    GICR_SIZE,
    PHYSICAL_TIMER,
    VIRTUAL_TIMER,
    VPL011_BASE,
    VPL011_INTERRUPT,
    VPL011_SIZE,
    affinity_of,
)
from hv.common.builder.description import Description
from hv.common.builder.guest_tree import guest_nodes
from hv.common.lib.fdt_writer import FdtWriter
from hv.common.model.vcpu import MAX_VCPUS
from hv.lang import Final, bounded, u32

GIC: Final[u32] = 1  # its phandle

SPI: Final[u32] = 0  # the first of an interrupt's three cells
PPI: Final[u32] = 1
FIRST_SPI: Final[u32] = 32
FIRST_PPI: Final[u32] = 16
LEVEL_HIGH: Final[u32] = 4

# The binding tells the four timers apart by their position: these two a guest does not have.
SECURE_TIMER: Final[u32] = 29
HYPERVISOR_TIMER: Final[u32] = 26


@guest_nodes.entry()
def write_cpus(tree: FdtWriter, description: Description) -> None:
    with tree.node("cpus"):
        tree.cell("#address-cells", 2)
        tree.cell("#size-cells", 0)
        for i in bounded(description.vcpus, MAX_VCPUS):
            affinity = affinity_of(i)
            with tree.node(f"cpu@{affinity:x}"):
                tree.text("device_type", "cpu")
                tree.text("compatible", "arm,armv8")
                tree.wide("reg", affinity)
                tree.text("enable-method", "psci")


@guest_nodes.entry()
def write_psci(tree: FdtWriter, description: Description) -> None:
    with tree.node("psci"):
        with tree.property("compatible"):
            tree.put_text("arm,psci-1.0")
            tree.put_text("arm,psci-0.2")
        tree.text("method", "hvc")


@guest_nodes.entry()
def write_gic(tree: FdtWriter, description: Description) -> None:
    with tree.node(f"interrupt-controller@{GICD_BASE:x}"):
        tree.text("compatible", "arm,gic-v3")
        tree.empty("interrupt-controller")
        tree.cell("#interrupt-cells", 3)
        tree.cell("#address-cells", 0)
        tree.cell("#redistributor-regions", 1)
        with tree.property("reg"):
            tree.put_wide(GICD_BASE)
            tree.put_wide(GICD_SIZE)
            tree.put_wide(GICR_BASE)
            tree.put_wide(GICR_SIZE)
        tree.cell("phandle", GIC)


@guest_nodes.entry()
def write_timer(tree: FdtWriter, description: Description) -> None:
    with tree.node("timer"):
        tree.text("compatible", "arm,armv8-timer")
        tree.cell("interrupt-parent", GIC)
        with tree.property("interrupts"):
            _put_private(tree, SECURE_TIMER)
            _put_private(tree, PHYSICAL_TIMER)
            _put_private(tree, VIRTUAL_TIMER)
            _put_private(tree, HYPERVISOR_TIMER)
        tree.empty("always-on")


@guest_nodes.entry()
def write_uart(tree: FdtWriter, description: Description) -> None:
    if not description.uart:
        return
    with tree.node(f"sbsa-uart@{VPL011_BASE:x}"):
        tree.text("compatible", "arm,sbsa-uart")
        with tree.property("reg"):
            tree.put_wide(VPL011_BASE)
            tree.put_wide(VPL011_SIZE)
        tree.cell("interrupt-parent", GIC)
        with tree.property("interrupts"):
            tree.put_cell(SPI)
            tree.put_cell(VPL011_INTERRUPT - FIRST_SPI)
            tree.put_cell(LEVEL_HIGH)
        tree.cell("current-speed", 115200)
    with tree.node("aliases"):
        tree.text("serial0", f"/sbsa-uart@{VPL011_BASE:x}")


def _put_private(tree: FdtWriter, intid: u32) -> None:
    tree.put_cell(PPI)
    tree.put_cell(intid - FIRST_PPI)
    tree.put_cell(LEVEL_HIGH)
