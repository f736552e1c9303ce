"""ELF kernels with a PVH entry, as a `Loader`: segments go to their physical addresses, and behind them lie the
ramdisk, and the start information of version 1 with what it names: list of modules, memory map, command line.

Sources: Xen, docs/misc/pvh.pandoc; public/arch-x86/hvm/start_info.h; public/elfnote.h (XEN_ELFNOTE_PHYS32_ENTRY).
"""

from hv.common.builder.description import MAX_SEGMENTS, Description, Segment
from hv.common.builder.loader import Loader, Placement
from hv.common.builder.memory_map import lower_bank, upper_bank
from hv.common.lib.elf import LOAD, MAX_HEADERS, Elf, read_elf
from hv.common.lib.span import Bytes
from hv.common.mm.types import PAGE_SIZE, Gaddr
from hv.lang import Errno, Final, bounded, raises, u16, u32, u64
from hv.x86.pvh import (
    AT_COMMAND_LINE,
    AT_ENTRY_BYTES,
    AT_ENTRY_START,
    AT_ENTRY_TYPE,
    AT_MAGIC,
    AT_MAP,
    AT_MAP_ENTRIES,
    AT_MODULE_BYTES,
    AT_MODULE_LIST,
    AT_MODULE_START,
    AT_MODULES,
    AT_VERSION,
    ENTRY_BYTES,
    MAGIC,
    MODULE_BYTES,
)

MACHINE_386: Final[u16] = 3
MACHINE_X86_64: Final[u16] = 62
NOTE_NAME: Final = "Xen"
PHYS32_ENTRY: Final[u32] = 18
RAM: Final[u32] = 1
FOUR_GIB: Final[u64] = 0x1_0000_0000

# Where the parts of the start information stand in it
MODULE_LIST: Final[u64] = 64
MEMORY_MAP: Final[u64] = MODULE_LIST + MODULE_BYTES
COMMAND_LINE: Final[u64] = MEMORY_MAP + 2 * ENTRY_BYTES


class PvhLoader(Loader):
    def wanted(self) -> str:
        return "ELF kernel with a PVH entry (a note of Xen's); one that is compressed has to be unpacked"

    @raises
    def read(self, description: Description) -> None:
        elf = read_elf(description.kernel.contents)
        if elf.machine not in (MACHINE_386, MACHINE_X86_64):
            raise Errno.EINVAL
        description.entry = entry_of(elf)
        description.segment_count = 0
        description.kernel_end = 0
        for i in bounded(elf.count, MAX_HEADERS):
            self._add(elf, i, description)
        if description.segment_count == 0 or description.entry >= description.kernel_end:
            raise Errno.EINVAL

    @raises
    def _add(self, elf: Elf, index: u32, description: Description) -> None:
        header = elf.header(index)
        if header.kind != LOAD or header.memory_bytes == 0:
            return
        if description.segment_count == MAX_SEGMENTS or header.file_bytes > header.memory_bytes:
            raise Errno.EINVAL
        if not elf.file.holds(header.offset, header.file_bytes):
            raise Errno.EINVAL
        if header.address >= FOUR_GIB or header.memory_bytes > FOUR_GIB - header.address:
            raise Errno.EINVAL
        segment = Segment(header.offset, header.file_bytes, header.address)
        description.segments[description.segment_count] = segment
        description.segment_count += 1
        description.kernel_end = max(description.kernel_end, header.address + header.memory_bytes)

    def room(self, description: Description) -> u64:
        return COMMAND_LINE + u64(len(description.bootargs)) + 1

    @raises
    def place(self, description: Description) -> Placement:
        ramdisk = page_up(description.kernel_end)
        tree = ramdisk + page_up(description.ramdisk.bytes)
        if tree < ramdisk or tree + self.room(description) > lower_bank(description.frames).bytes:
            raise Errno.ENOSPC
        return Placement(Gaddr(description.entry), Gaddr(tree), Gaddr(ramdisk))

    @raises
    def write(self, into: Bytes, description: Description, placement: Placement) -> u64:
        length = self.room(description)
        if not into.holds(0, length):
            raise Errno.ENOSPC
        at = u64(placement.tree)
        modules: u32 = 1 if description.ramdisk.bytes != 0 else 0
        upper = upper_bank(description.frames)
        entries: u32 = 1 if upper.bytes == 0 else 2
        into.part(0, COMMAND_LINE).fill(0)
        into.put_le32(AT_MAGIC, MAGIC)
        into.put_le32(AT_VERSION, 1)
        into.put_le32(AT_MODULES, modules)
        into.put_le64(AT_MODULE_LIST, at + MODULE_LIST if modules != 0 else 0)
        into.put_le64(AT_COMMAND_LINE, at + COMMAND_LINE)
        into.put_le64(AT_MAP, at + MEMORY_MAP)
        into.put_le32(AT_MAP_ENTRIES, entries)
        if modules != 0:
            into.put_le64(MODULE_LIST + AT_MODULE_START, placement.ramdisk)
            into.put_le64(MODULE_LIST + AT_MODULE_BYTES, description.ramdisk.bytes)
        lower = lower_bank(description.frames)
        put_entry(into.rest(MEMORY_MAP), lower.start, lower.bytes)
        if entries == 2:
            put_entry(into.rest(MEMORY_MAP + ENTRY_BYTES), upper.start, upper.bytes)
        into.put_text(COMMAND_LINE, description.bootargs)
        into.put_byte(length - 1, 0)
        return length


def put_entry(into: Bytes, start: u64, bytes: u64) -> None:
    into.put_le64(AT_ENTRY_START, start)
    into.put_le64(AT_ENTRY_BYTES, bytes)
    into.put_le32(AT_ENTRY_TYPE, RAM)


@raises
def entry_of(elf: Elf) -> u64:
    """EINVAL: the file has no PVH entry."""
    try:
        note = elf.note(NOTE_NAME, PHYS32_ENTRY)
    except Errno:
        raise Errno.EINVAL from None
    if note.length == 8:
        return note.le64(0)
    if note.length != 4:
        raise Errno.EINVAL
    return u64(note.le32(0))


def page_up(address: u64) -> u64:
    return (address + (PAGE_SIZE - 1)) & ~u64(PAGE_SIZE - 1)


pvh_loader: Final = PvhLoader()
