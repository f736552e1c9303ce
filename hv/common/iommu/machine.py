"""What the builder asks of the machine's IOMMUs: which there are, and that a domain's devices reach its memory by them.

The device tree says which streams a device has. Until a stream is attached to a domain, and again when that domain
ends, its transactions are aborted.
"""

from hv.common.iommu.ranges import StreamRange
from hv.common.lib.fdt import Node
from hv.common.model.domain import Domain
from hv.lang import Final, Protocol, raises, u32, u64

MAX_UNITS: Final[u32] = 16


class IommuMachine(Protocol):
    def unit(self, node: Node) -> u32:
        """The number of the IOMMU that a node of the machine's tree is, if it is driven; else MAX_UNITS."""
        ...

    def streams(self, unit: u32) -> u64:
        """It has streams 0 to this number less one."""
        ...

    @raises
    def join(self, domain: Domain, units: u32) -> None:
        """Readies a domain for streams of these IOMMUs, a bit for each. Before its memory is mapped, since what is
        mapped from here on its devices will find. ENOMEM. ENODEV: an IOMMU does not work."""
        ...

    @raises
    def attach(self, domain: Domain, streams: StreamRange, done: u32) -> u32:
        """Lets streams, of which so many are done, reach what the domain has. Returns how many more are done. ENOMEM.
        ENODEV: the IOMMU does not work. EBUSY: the domain has too many ranges. They are taken back when the domain
        ends, also those of a range that was not done to its end."""
        ...


class IommuMachines:
    """None: no device is behind an IOMMU that is driven."""

    machine: IommuMachine | None


iommu_machines: Final = IommuMachines()
