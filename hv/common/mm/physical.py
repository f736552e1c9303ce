"""Reading physical memory that is not RAM of ours: firmware's tables, for one."""

from hv.common.lib.span import Bytes
from hv.common.mm.types import Paddr
from hv.lang import Protocol, raises, u64


class PhysicalMemory(Protocol):
    @raises
    def view(self, start: Paddr, length: u64) -> Bytes:
        """Shows the bytes while the hypervisor boots. EINVAL: there is no such memory, or no room to show it."""
        ...
