"""The start information that the hypervisor wrote: where things are, and how the kernel's is made of it.

Its first module is the kernel's file. The kernel is told of those behind.
"""

from hv.common.lib.span import Bytes
from hv.lang import Final, bounded, raises, u32, u64
from hv.x86.start_info import (
    AT_COMMAND_LINE,
    AT_MAGIC,
    AT_MAP,
    AT_MAP_ENTRIES,
    AT_MODULE_BYTES,
    AT_MODULE_COMMAND_LINE,
    AT_MODULE_LIST,
    AT_MODULE_START,
    AT_MODULES,
    AT_RSDP,
    AT_VERSION,
    MAGIC,
    MODULE_BYTES,
    VERSION_1_BYTES,
)
from loader.unpack.fault import expect
from loader.x86.memory import FOUR_GIB, Memory

MOST_MODULES: Final[u32] = 8
LONGEST_LINE: Final[u64] = 4096
RSDP_BYTES: Final[u64] = 36


class StartInformation:
    head: Bytes
    modules: Bytes  # the list
    count: u32

    @raises
    def init(self, address: u64) -> None:
        """EINVAL: there is none, or no module."""
        self.head = Bytes(address, VERSION_1_BYTES)
        head = self.head
        expect(head.le32(AT_MAGIC) == MAGIC and head.le32(AT_VERSION) != 0, "start information of version 1")
        self.count = head.le32(AT_MODULES)
        expect(0 < self.count <= MOST_MODULES, "1 to 8 modules, the first of which is the kernel")
        self.modules = Bytes(head.le64(AT_MODULE_LIST), u64(self.count) * MODULE_BYTES)

    @raises
    def tell(self, memory: Memory) -> None:
        """Where memory is, and that the start information and all that it names lies there. EINVAL: not below 4 GiB."""
        memory.init(self.head.le64(AT_MAP), self.head.le32(AT_MAP_ENTRIES))
        memory.take(self.head.address, self.head.length)
        memory.take(self.modules.address, self.modules.length)
        take_line(memory, self.head.le64(AT_COMMAND_LINE))
        if self.head.le64(AT_RSDP) != 0:
            memory.take(self.head.le64(AT_RSDP), RSDP_BYTES)
        for i in bounded(self.count, MOST_MODULES):
            memory.take(self.module(i).address, self.module(i).length)
            take_line(memory, self.modules.le64(u64(i) * MODULE_BYTES + AT_MODULE_COMMAND_LINE))

    def module(self, index: u32) -> Bytes:
        at = u64(index) * MODULE_BYTES
        return Bytes(self.modules.le64(at + AT_MODULE_START), self.modules.le64(at + AT_MODULE_BYTES))

    def drop_first(self) -> None:
        """The first module is told no more."""
        self.head.put_le32(AT_MODULES, self.count - 1)
        self.head.put_le64(AT_MODULE_LIST, self.modules.address + MODULE_BYTES if self.count > 1 else 0)


@raises
def take_line(memory: Memory, start: u64) -> None:
    """A command line, which a zero byte ends; at 0 there is none. EINVAL: it does not end within 4096 bytes."""
    if start != 0:
        expect(start < FOUR_GIB - LONGEST_LINE, "a command line below 4 GiB")
        line = Bytes(start, LONGEST_LINE)
        expect(line.terminated(0), "a command line of at most 4096 bytes")
        memory.take(start, len(line.string(0)) + 1)
