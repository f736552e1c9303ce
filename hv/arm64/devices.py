"""Devices that guests own, as far as they are Arm's: interrupts of the GIC, and what lies where."""

from hv.arm64 import spis
from hv.arm64.controller import FIRST_SHARED, Trigger, controllers
from hv.arm64.interrupts import interrupt_at
from hv.arm64.vgic_state import END
from hv.common.builder.device_machine import DeviceMachine
from hv.common.builder.devices import DeviceInterrupt
from hv.common.drivers.devicetree import console_node, tree
from hv.common.lib.fdt import Node, Property
from hv.common.mm.types import Paddr
from hv.common.model.domain import Domain
from hv.config import CONFIG_SMMUV3
from hv.lang import Errno, Final, bounded, raises, u32

if CONFIG_SMMUV3:
    from hv.arm64.smmuv3_units import COMPATIBLE

MAX_REG: Final = 64  # entries of a node's `reg` that are looked at
PARTS_OF_CONTROLLERS: Final = "arm,gic-v3-its"  # the nodes below one that translate messages


class Arm64Devices(DeviceMachine):
    def own_part(self, start: Paddr, end: Paddr) -> str:
        for node in tree.nodes():
            if self.is_controller(node) or node.is_compatible(PARTS_OF_CONTROLLERS):
                if lies_in(node, start, end):
                    return "the interrupt controller"
            if CONFIG_SMMUV3 and node.is_compatible(COMPATIBLE) and lies_in(node, start, end):
                return "an SMMU"
        try:
            if lies_in(console_node(), start, end):
                return "the console's UART"
        except Errno:
            return ""
        return ""

    def is_controller(self, node: Node) -> bool:
        for driver in controllers:
            if node.is_compatible(driver.compatible):
                return True
        return False

    @raises
    def interrupt(self, listed: Property, first: u32) -> DeviceInterrupt:
        spec = interrupt_at(listed, first)
        if spec.intid < FIRST_SHARED:
            raise Errno.EINVAL
        return DeviceInterrupt(spec.intid, spec.trigger == Trigger.EDGE)

    def spis_for(self, number: u32) -> u32:
        return number - FIRST_SHARED + 1 if number < END else 0

    @raises
    def assign(self, domain: Domain, interrupt: DeviceInterrupt) -> None:
        spis.assign(domain, interrupt.number, Trigger.EDGE if interrupt.edge else Trigger.LEVEL)


def lies_in(node: Node, start: Paddr, end: Paddr) -> bool:
    """Whether some of these bytes are in a node's registers."""
    try:
        for i in bounded(node.reg_count(), MAX_REG):
            region = node.reg(i)
            if region.start < end and start < region.start + region.size:
                return True
    except Errno:
        return False
    return False


arm64_devices: Final = Arm64Devices()
