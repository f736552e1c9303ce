"""The kinds of what the hypervisor maps for itself, and the windows by which its drivers see physical memory."""

from hv.common.mm.early import early
from hv.common.mm.format import Access, Attributes, Memory
from hv.common.mm.physical import RegisterWindows, Windows
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, raises, u64

TEXT: Final = Attributes(access=Access.R | Access.X, memory=Memory.NORMAL)
CONSTANTS: Final = Attributes(access=Access.R, memory=Memory.NORMAL)
DATA: Final = Attributes(access=Access.R | Access.W, memory=Memory.NORMAL)
REGISTERS: Final = Attributes(access=Access.R | Access.W, memory=Memory.DEVICE)
PICTURE: Final = Attributes(access=Access.R | Access.W, memory=Memory.UNCACHED)


class MachineWindows(RegisterWindows):
    space: Windows  # the hypervisor's address space; set when it is made

    @raises
    def map(self, registers: Paddr, length: u64) -> u64:
        return self._map_device(registers, length, REGISTERS)

    @raises
    def map_picture(self, start: Paddr, length: u64) -> u64:
        """Gives a screen's memory an address, where stores are gathered. EINVAL, ENOMEM, as `map`."""
        return self._map_device(start, length, PICTURE)

    def unmap(self, address: u64) -> None:
        self.space.unmap(address)

    @raises
    def _map_device(self, start: Paddr, length: u64, attributes: Attributes) -> u64:
        if start + length < start or early.ram.overlaps(start, Paddr(start + length)):
            raise Errno.EINVAL
        return self.space.map(start, length, attributes)


windows: Final = MachineWindows()
