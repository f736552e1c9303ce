"""What the architecture says and does about devices that guests own."""

from hv.common.builder.devices import DeviceInterrupt
from hv.common.lib.fdt import Node, Property
from hv.common.mm.types import Paddr
from hv.common.model.domain import Domain
from hv.lang import Final, Protocol, raises, u32


class DeviceMachine(Protocol):
    """What the architecture knows of devices that guests own. Kept by `device_machine` where there can be such."""

    def own_part(self, start: Paddr, end: Paddr) -> str:
        """Which registers there the hypervisor uses itself, in words. Empty: none."""
        ...

    def is_controller(self, node: Node) -> bool:
        """Whether a node of the machine's tree is the interrupt controller whose interrupts guests get."""
        ...

    @raises
    def interrupt(self, listed: Property, first: u32) -> DeviceInterrupt:
        """The interrupt that the cells from `first` on name, INTERRUPT_CELLS of them. EINVAL: not so many cells, or
        none that devices share."""
        ...

    def spis_for(self, number: u32) -> u32:
        """How many shared interrupts a guest has at least that has this one. 0: none can have it."""
        ...

    @raises
    def assign(self, domain: Domain, interrupt: DeviceInterrupt) -> None:
        """Gives it to a domain, whose vCPUs are made, for its life. EINVAL: the machine has no such interrupt. EBUSY:
        somebody else has it."""
        ...


INTERRUPT_CELLS: Final[u32] = 3


class DeviceMachines:
    """None: guests of this architecture own no devices."""

    machine: DeviceMachine | None


device_machines: Final = DeviceMachines()
