"""Kernels with a PVH entry, as a `Loader`: ELF files, and bzImages, which are unpacked in the guest.

An ELF file's segments go to their physical addresses, and behind them lies the ramdisk. For a packed kernel the
segments are those of the program that unpacks it; the kernel's file, which is the first module, and the ramdisk lie
further up, out of the way of the kernel. Above them is the start information of version 1 with what it names: list of
modules, memory map, command line, and the ACPI tables, which end where the memory ends, or the early part of it.

Sources: Xen, docs/misc/pvh.pandoc; public/arch-x86/hvm/start_info.h.
"""

from hv.common.builder.description import MAX_SEGMENTS, Description, Segment
from hv.common.builder.loader import Loader, Placement
from hv.common.builder.memory_map import lower_bank
from hv.common.lib.elf import LOAD, MAX_HEADERS, Elf, read_elf
from hv.common.lib.span import Bytes
from hv.common.mm.types import PAGE_SIZE, Gaddr
from hv.config import CONFIG_BZIMAGE
from hv.lang import Errno, Final, bounded, raises, u32, u64
from hv.x86.hvm.acpi import TABLES_BYTES, write_tables
from hv.x86.hvm.guest_map import EARLY_END, MOST_REGIONS, GuestMap, page_below, tables_start
from hv.x86.pvh_entry import pvh_entry
from hv.x86.start_info import (
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
    AT_RSDP,
    AT_VERSION,
    ENTRY_BYTES,
    MAGIC,
    MODULE_BYTES,
)

if CONFIG_BZIMAGE:
    from hv.x86.packed_kernel import is_packed, place_packed, unpacker

FOUR_GIB: Final[u64] = 0x1_0000_0000
MOST_MODULES: Final[u64] = 2

# Where the parts of the start information stand in it
MODULE_LIST: Final[u64] = 64
MEMORY_MAP: Final[u64] = MODULE_LIST + MOST_MODULES * MODULE_BYTES
COMMAND_LINE: Final[u64] = MEMORY_MAP + MOST_REGIONS * ENTRY_BYTES


class PvhLoader(Loader):
    def wanted(self) -> str:
        if CONFIG_BZIMAGE:
            return "bzImage, and no ELF kernel with a PVH entry (a note of Xen's)"
        return "ELF kernel with a PVH entry (a note of Xen's); one that is packed has to be unpacked"

    @raises
    def read(self, description: Description) -> None:
        file = description.kernel.contents
        description.packed = False
        program = file
        if CONFIG_BZIMAGE:
            description.packed = is_packed(file)
            program = unpacker.program if description.packed else file
        elf = read_elf(program)
        description.entry = pvh_entry(elf)
        description.segment_count = 0
        description.kernel_end = 0
        for i in bounded(elf.count, MAX_HEADERS):
            self._add(elf, i, description)
        if description.segment_count == 0 or description.entry >= description.kernel_end:
            raise Errno.EINVAL
        if description.packed:
            add_segment(description, Segment(file, 0))

    @raises
    def _add(self, elf: Elf, index: u32, description: Description) -> None:
        header = elf.header(index)
        if header.kind != LOAD or header.memory_bytes == 0:
            return
        if header.file_bytes > header.memory_bytes:
            raise Errno.EINVAL
        if not elf.file.holds(header.offset, header.file_bytes):
            raise Errno.EINVAL
        if header.address >= FOUR_GIB or header.memory_bytes > FOUR_GIB - header.address:
            raise Errno.EINVAL
        add_segment(description, Segment(elf.file.part(header.offset, header.file_bytes), header.address))
        description.kernel_end = max(description.kernel_end, header.address + header.memory_bytes)

    def room(self, description: Description) -> u64:
        return page_up(COMMAND_LINE + u64(len(description.bootargs)) + 1) + TABLES_BYTES

    @raises
    def place(self, description: Description) -> Placement:
        tables = tables_start(description.frames)
        information = page_below(tables, self.room(description) - TABLES_BYTES)
        if CONFIG_BZIMAGE:
            if description.packed:
                return place_packed(description, information)
        ramdisk = page_up(description.kernel_end)
        if ramdisk > information:
            raise Errno.ENOSPC
        if description.ramdisk.bytes > information - ramdisk:
            ramdisk = EARLY_END
            memory = lower_bank(description.frames).bytes
            if ramdisk > memory or description.ramdisk.bytes > memory - ramdisk:
                raise Errno.ENOSPC
        return Placement(Gaddr(description.entry), Gaddr(information), Gaddr(ramdisk))

    @raises
    def write(self, into: Bytes, description: Description, placement: Placement) -> u64:
        length = self.room(description)
        if not into.holds(0, length):
            raise Errno.ENOSPC
        at = u64(placement.tree)
        tables = tables_start(description.frames)
        assert at + length == tables + TABLES_BYTES, "start information that does not end with the tables"
        into.part(0, length).fill(0)
        modules: u32 = 0
        if description.packed:
            file = description.segments[description.segment_count - 1]
            modules = put_module(into, modules, file.to, file.contents.length)
        if description.ramdisk.bytes != 0:
            modules = put_module(into, modules, placement.ramdisk, description.ramdisk.bytes)
        map = GuestMap()
        map.init(description.frames)
        into.put_le32(AT_MAGIC, MAGIC)
        into.put_le32(AT_VERSION, 1)
        into.put_le32(AT_MODULES, modules)
        into.put_le64(AT_MODULE_LIST, at + MODULE_LIST if modules != 0 else 0)
        into.put_le64(AT_COMMAND_LINE, at + COMMAND_LINE)
        into.put_le64(AT_RSDP, tables)
        into.put_le64(AT_MAP, at + MEMORY_MAP)
        into.put_le32(AT_MAP_ENTRIES, map.count)
        put_map(into.rest(MEMORY_MAP), map)
        into.put_text(COMMAND_LINE, description.bootargs)
        write_tables(into.part(length - TABLES_BYTES, TABLES_BYTES), tables, description.vcpus)
        return length


def put_module(into: Bytes, index: u32, start: u64, bytes: u64) -> u32:
    """The index of the next."""
    at = MODULE_LIST + u64(index) * MODULE_BYTES
    into.put_le64(at + AT_MODULE_START, start)
    into.put_le64(at + AT_MODULE_BYTES, bytes)
    return index + 1


def put_map(into: Bytes, map: GuestMap) -> None:
    at: u64 = 0
    for region in map:
        into.put_le64(at + AT_ENTRY_START, region.start)
        into.put_le64(at + AT_ENTRY_BYTES, region.bytes)
        into.put_le32(at + AT_ENTRY_TYPE, u32(region.kind))
        at += ENTRY_BYTES


def page_up(address: u64) -> u64:
    return (address + (PAGE_SIZE - 1)) & ~u64(PAGE_SIZE - 1)


@raises
def add_segment(description: Description, segment: Segment) -> None:
    """EINVAL: there are too many."""
    if description.segment_count == MAX_SEGMENTS:
        raise Errno.EINVAL
    description.segments[description.segment_count] = segment
    description.segment_count += 1


pvh_loader: Final = PvhLoader()
