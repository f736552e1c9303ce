"""What a guest's device tree says of the machine that this package plays: CPUs, PSCI, GIC, timer, UART.

Sources: Linux Documentation/devicetree/bindings: arm/cpus.yaml, arm/psci.yaml, interrupt-controller/arm,gic-v3.yaml and
arm,gic.yaml, timer/arm,arch_timer.yaml, serial/arm_sbsa_uart.txt.
"""

from hv.arm64.guest_map import (
    GICD_SIZE,
    GICV2_GICD_SIZE,
    PHYSICAL_TIMER,
    VIRTUAL_TIMER,
    VPL011_SIZE,
    affinity_of,
    is_gicv2,
    places_for,
)
from hv.common.builder.description import Description
from hv.common.builder.guest_tree import guest_aliases, guest_nodes
from hv.common.lib.fdt_writer import FdtWriter
from hv.common.model.vcpu import MAX_VCPUS
from hv.config import CONFIG_VPL011
from hv.lang import Final, bounded, u32

SHARED: Final[u32] = 0  # kinds of interrupt
PRIVATE: Final[u32] = 1
FIRST_PRIVATE: Final[u32] = 16
FIRST_SHARED: Final[u32] = 32
LEVEL: Final[u32] = 4  # active high
OWNERS: Final = 8  # where a GICv2's flags have a bit for each CPU
SECURE_TIMER: Final[u32] = 29  # named because the binding wants it: it never comes


@guest_nodes.entry()
def write_cpus(tree: FdtWriter, description: Description) -> None:
    with tree.node("cpus"):
        tree.cell("#address-cells", 1)
        tree.cell("#size-cells", 0)
        for vcpu in bounded(description.vcpus, MAX_VCPUS):
            place = u32(affinity_of(vcpu))
            with tree.node(f"cpu@{place:x}"):
                tree.text("device_type", "cpu")
                tree.text("compatible", "arm,armv8")
                tree.text("enable-method", "psci")
                tree.cell("reg", place)


@guest_nodes.entry()
def write_psci(tree: FdtWriter, description: Description) -> None:
    with tree.node("psci"):
        with tree.property("compatible"):
            tree.put_text("arm,psci-1.0")
            tree.put_text("arm,psci-0.2")
        tree.text("method", "hvc")


@guest_nodes.entry()
def write_controller(tree: FdtWriter, description: Description) -> None:
    at = places_for(description.set_aside.direct, description.vcpus)
    with tree.node(f"interrupt-controller@{at.distributor:x}"):
        tree.text("compatible", "arm,gic-400" if is_gicv2() else "arm,gic-v3")
        tree.cell("#interrupt-cells", 3)
        tree.cell("#address-cells", 0)  # as who reads an `interrupt-map` of a device's asks
        tree.empty("interrupt-controller")
        tree.cell("phandle", description.devices.controller)
        with tree.property("reg"):
            tree.put_wide(at.distributor)
            tree.put_wide(GICV2_GICD_SIZE if is_gicv2() else GICD_SIZE)
            tree.put_wide(at.cpus)
            tree.put_wide(at.cpus_bytes)


@guest_nodes.entry()
def write_timer(tree: FdtWriter, description: Description) -> None:
    with tree.node("timer"):
        tree.text("compatible", "arm,armv8-timer")
        tree.cell("interrupt-parent", description.devices.controller)
        # A vCPU's timers go on while it waits: without this Linux neither stops its tick nor uses fine timers.
        tree.empty("always-on")
        with tree.property("interrupts"):
            put_private(tree, description, SECURE_TIMER)
            put_private(tree, description, PHYSICAL_TIMER)
            put_private(tree, description, VIRTUAL_TIMER)


if CONFIG_VPL011:

    @guest_aliases.entry()
    def write_uart_alias(tree: FdtWriter, description: Description) -> None:
        if description.uart:
            at = places_for(description.set_aside.direct, description.vcpus)
            tree.text("serial0", f"/sbsa-uart@{at.uart:x}")

    @guest_nodes.entry()
    def write_uart(tree: FdtWriter, description: Description) -> None:
        if not description.uart:
            return
        at = places_for(description.set_aside.direct, description.vcpus)
        with tree.node(f"sbsa-uart@{at.uart:x}"):
            tree.text("compatible", "arm,sbsa-uart")
            tree.cell("current-speed", 115200)
            tree.cell("interrupt-parent", description.devices.controller)
            with tree.property("interrupts"):
                put_interrupt(tree, SHARED, at.uart_interrupt - FIRST_SHARED, LEVEL)
            with tree.property("reg"):
                tree.put_wide(at.uart)
                tree.put_wide(VPL011_SIZE)


def put_private(tree: FdtWriter, description: Description, intid: u32) -> None:
    """In a GICv2's cells the vCPUs that have it are named as well."""
    owners = (u32(1) << description.vcpus) - 1 << OWNERS if is_gicv2() else 0
    put_interrupt(tree, PRIVATE, intid - FIRST_PRIVATE, owners | LEVEL)


def put_interrupt(tree: FdtWriter, kind: u32, number: u32, flags: u32) -> None:
    tree.put_cell(kind)
    tree.put_cell(number)
    tree.put_cell(flags)
