"""Physical memory that is not RAM of ours: firmware's tables, and devices' registers."""

from hv.common.lib.span import Bytes
from hv.common.mm.types import Paddr
from hv.lang import Protocol, raises, u64


class PhysicalMemory(Protocol):
    @raises
    def view(self, start: Paddr, length: u64) -> Bytes:
        """Shows the bytes while the hypervisor boots. EINVAL: there is no such memory, or no room to show it."""
        ...


class RegisterWindows(Protocol):
    @raises
    def map(self, registers: Paddr, length: u64) -> u64:
        """Gives a device's registers an address, which is returned. ENOMEM."""
        ...
