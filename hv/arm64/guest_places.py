"""What the machine's tree says of where its interrupt controller and its console are, for guests that have their memory
where the machine has it.

Where the console's UART is unknown, or shares its page with something else, such a guest finds its own at the usual
place, with the usual interrupt.
"""

from hv.arm64.controller import FIRST_SHARED
from hv.arm64.guest_map import (
    GICD_BASE,
    GICD_SIZE,
    GICR_BASE,
    GICR_SIZE,
    GICR_STRIDE,
    GICV2_GICD_SIZE,
    VPL011_BASE,
    VPL011_INTERRUPT,
    VPL011_SIZE,
    Places,
    is_gicv2,
    machine,
)
from hv.arm64.interrupts import interrupt_of
from hv.arm64.platform import find_controller
from hv.common.builder.description import Description
from hv.common.builder.guest_parts import GuestParts
from hv.common.drivers.devicetree import console_node
from hv.common.lib.fdt import Region
from hv.common.mm.types import PAGE_SIZE, Gaddr
from hv.lang import Errno, Final, raises, u32, u64

VERSION_3: Final = "arm,gic-v3"


class Arm64Parts(GuestParts):
    def part_at(self, description: Description, start: Gaddr, end: Gaddr) -> str:
        direct = description.set_aside.direct
        own = machine.own
        uart = own.uart if direct else VPL011_BASE
        if direct:
            bytes = GICV2_GICD_SIZE if is_gicv2() else GICD_SIZE
            if lies_in(own.distributor, bytes, start, end) or lies_in(own.cpus, own.cpus_bytes, start, end):
                return "its interrupt controller"
        elif lies_in(GICD_BASE, GICR_BASE + GICR_SIZE - GICD_BASE, start, end):
            return "its interrupt controller"
        if description.uart and lies_in(uart, VPL011_SIZE, start, end):
            return "its vpl011"
        return ""

    def uart_interrupt(self, description: Description) -> u32:
        return machine.own.uart_interrupt if description.set_aside.direct else VPL011_INTERRUPT

    def most_vcpus(self, description: Description) -> u32:
        """As many as the machine has room for redistributors, where they are its. A GICv2's CPUs share one place."""
        room = machine.own.cpus_bytes // GICR_STRIDE
        return u32(room) if description.set_aside.direct and not is_gicv2() else description.vcpus


arm64_parts: Final = Arm64Parts()


def lies_in(first: u64, bytes: u64, start: Gaddr, end: Gaddr) -> bool:
    return start < first + bytes and first < end


def find_places() -> None:
    """Before domains are read. Without a controller there are no guests. A guest's is of the machine's version."""
    distributor = Region(0, 0)
    cpus = Region(0, 0)
    uart = Region(VPL011_BASE, VPL011_SIZE)
    uart_interrupt = VPL011_INTERRUPT
    try:
        node = find_controller().node
        distributor = node.reg(0)
        cpus = node.reg(1)
        machine.gicv2 = not node.is_compatible(VERSION_3)
    except Errno:
        return
    try:
        found = console_node().reg(0)
        interrupt = shared_interrupt()
        if found.start % PAGE_SIZE == 0:
            uart = found
            uart_interrupt = interrupt
    except Errno:
        uart_interrupt = VPL011_INTERRUPT
    machine.own = Places(distributor.start, cpus.start, cpus.size, uart.start, uart_interrupt)


@raises
def shared_interrupt() -> u32:
    """The console's. EINVAL: it has none that devices share. ENOENT: there is no console."""
    intid = interrupt_of(console_node(), 0).intid
    if intid < FIRST_SHARED:
        raise Errno.EINVAL
    return intid
