"""What the boot loader handed over, in one form for all of them.

The readers (multiboot2, pvh) copy everything but the modules' contents and the screen, so the loader's own structures
are needed no more when they are done.
"""

from hv.common.drivers.screen import Screen, no_screen
from hv.common.lib.span import Bytes
from hv.common.lib.text import TextBuffer
from hv.common.mm.types import Paddr
from hv.lang import Embedded, Errno, Final, Iterator, address_of, array, bounded, raises, u8, u32, u64, value
from hv.x86.memory_map import MemoryMap

MAX_MODULES: Final[u32] = 64
MAX_TEXT: Final = 16384  # bytes of all command lines together
MAX_RSDP: Final[u64] = 64


@value
class BootModule:
    start: Paddr
    bytes: u64
    command_line: str


class BootInformation:
    loader: str  # its name; empty when it has none
    command_line: str
    modules: array[BootModule, MAX_MODULES]
    module_count: u32
    map: Embedded[MemoryMap]
    screen: Screen
    efi_system_table: Paddr  # 0: not booted by EFI
    rsdp_bytes: array[u8, MAX_RSDP]
    rsdp_length: u64
    texts: TextBuffer[MAX_TEXT]

    def init(self, limit: u64) -> None:
        """`limit`: where physical addresses end that the machine can have, or that can be mapped."""
        self.loader = ""
        self.command_line = ""
        self.module_count = 0
        self.map.init(limit)
        self.screen = no_screen()
        self.efi_system_table = Paddr(0)
        self.rsdp_length = 0
        self.texts.clear()

    @property
    def rsdp(self) -> Bytes:
        """ACPI's root pointer as the loader found it. No bytes: it has to be searched for."""
        return Bytes(address_of(self.rsdp_bytes), self.rsdp_length)

    def each_module(self) -> Iterator[BootModule]:
        for i in bounded(self.module_count, MAX_MODULES):
            yield self.modules[i]

    @raises
    def add_module(self, start: u64, bytes: u64, command_line: str) -> None:
        """ENOSPC: too many. EINVAL: it runs over the end of the address space."""
        if bytes > ~start:
            raise Errno.EINVAL
        if self.module_count == MAX_MODULES:
            raise Errno.ENOSPC
        self.modules[self.module_count] = BootModule(Paddr(start), bytes, command_line)
        self.module_count += 1

    def set_rsdp(self, bytes: Bytes) -> None:
        """Keeps the first bytes, which hold all that a root pointer has."""
        self.rsdp_length = min(bytes.length, MAX_RSDP)
        for i in bounded(self.rsdp_length, MAX_RSDP):
            self.rsdp_bytes[i] = bytes.byte(i)

    @raises
    def kept(self, text: str) -> str:
        """A copy of the loader's text. ENOSPC: there is no room for all of them."""
        start = u64(self.texts.length)
        self.texts.put(text)
        if self.texts.truncated:
            raise Errno.ENOSPC
        return self.texts.text[start:]


information: Final = BootInformation()
