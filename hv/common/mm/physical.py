"""Physical memory that is not RAM of ours: firmware's tables, and devices' registers."""

from hv.common.lib.span import Bytes
from hv.common.mm.format import Attributes
from hv.common.mm.types import Paddr
from hv.lang import Protocol, raises, u64


class PhysicalMemory(Protocol):
    @raises
    def view(self, start: Paddr, length: u64) -> Bytes:
        """Shows the bytes while the hypervisor boots. EINVAL: there is no such memory, or no room to show it."""
        ...


class Windows(Protocol):
    @raises
    def map(self, start: Paddr, length: u64, attributes: Attributes) -> u64:
        """Gives bytes of physical memory an address, which is returned; the rest of their pages is shown as well, and
        no page beside them. EINVAL: no bytes, or there can be no such memory. ENOMEM: no room, or no tables for it."""
        ...

    def unmap(self, address: u64) -> None:
        """Takes away what `map` has given the address, whole. Then no CPU reaches it there any more."""
        ...


class RegisterWindows(Protocol):
    @raises
    def map(self, registers: Paddr, length: u64) -> u64:
        """Gives a device's registers an address, which is returned. EINVAL: no bytes, there is memory, or there can be
        nothing. ENOMEM: no room, or no tables for them."""
        ...

    def unmap(self, address: u64) -> None:
        """Takes away what `map` has given the address."""
        ...
