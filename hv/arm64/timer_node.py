"""Which interrupts the generic timer raises on each CPU, and how fast it counts, as the device tree says.

Source: Linux Documentation/devicetree/bindings/timer/arm,arch_timer.yaml. Without names the interrupts are, in this
order: secure physical, physical, virtual, hypervisor physical.
"""

from hv.arm64.interrupts import interrupt_of
from hv.common.drivers.devicetree import tree
from hv.common.lib.fdt import Node
from hv.lang import Errno, Final, raises, u32, u64


class TimerNode:
    """Interrupt numbers. What the tree does not say is as the architecture recommends (Arm DEN 0029)."""

    virtual: u32
    hypervisor: u32
    frequency: u64  # Hz; 0: the tree does not say

    def init(self) -> None:
        self.virtual = 27
        self.hypervisor = 26
        for node in tree.compatible("arm,armv8-timer"):
            try:
                self._read(node)
            except Errno:
                return

    @raises
    def _read(self, node: Node) -> None:
        frequency = node.property("clock-frequency")
        if frequency.found:
            self.frequency = frequency.integer()
        self.virtual = interrupt_of(node, place_of(node, "virt", 2)).intid
        self.hypervisor = interrupt_of(node, place_of(node, "hyp-phys", 3)).intid


def place_of(node: Node, name: str, otherwise: u32) -> u32:
    """Where `interrupt-names` lists a name; `otherwise` without names."""
    names = node.property("interrupt-names")
    place: u32 = 0
    for listed in names:
        if listed == name:
            return place
        place += 1
    return otherwise


timer_node: Final = TimerNode()
