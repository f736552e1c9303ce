"""The machine's memory map, as boot loaders give it: in any order, with entries that may overlap.

What any entry calls anything but RAM is no RAM, whatever others say. Source: ACPI Specification 6.5, 15 (types of
E820); UEFI Specification 2.10, 7.2 (types of EFI's map).
"""

from hv.common.mm.early import EarlyMemory, page_down, page_up
from hv.common.mm.types import Paddr
from hv.lang import Final, U8Enum, array, bounded, raises, u32, u64, value

MAX_ENTRIES: Final = 512


class MemoryKind(U8Enum):
    RAM = 1
    RESERVED = 2
    ACPI = 3  # tables, which could be given up when they have been read
    NVS = 4  # firmware's own
    UNUSABLE = 5


@value
class MapEntry:
    """Bytes start … end - 1."""

    start: Paddr
    end: Paddr
    kind: MemoryKind


class MemoryMap:
    entries: array[MapEntry, MAX_ENTRIES]
    count: u32
    left_out: u32  # entries that there was no room for, or that say nothing
    limit: u64

    def init(self, limit: u64) -> None:
        """What lies at `limit` or above is left out."""
        self.count = 0
        self.left_out = 0
        self.limit = limit

    def add(self, start: u64, bytes: u64, kind: MemoryKind) -> None:
        """Any numbers at all."""
        if bytes == 0 or start >= self.limit:
            return
        if self.count == MAX_ENTRIES:
            self.left_out += 1
            return
        end = start + min(bytes, self.limit - start)
        self.entries[self.count] = MapEntry(Paddr(start), Paddr(end), kind)
        self.count += 1

    @raises
    def tell(self, memory: EarlyMemory) -> None:
        """Says what is RAM. ENOSPC: it is too scattered."""
        for i in bounded(self.count, MAX_ENTRIES):
            entry = self.entries[i]
            if entry.kind == MemoryKind.RAM:
                memory.add_ram(entry.start, entry.end)
        for i in bounded(self.count, MAX_ENTRIES):
            entry = self.entries[i]
            if entry.kind != MemoryKind.RAM:
                memory.ram.remove(Paddr(page_down(entry.start)), Paddr(page_up(entry.end)))
                memory.reserve(entry.start, entry.end)


def kind_of(type: u32) -> MemoryKind:
    """Of an entry of E820. Types that are not known are not to be touched."""
    match type:
        case 1:
            return MemoryKind.RAM
        case 3:
            return MemoryKind.ACPI
        case 4:
            return MemoryKind.NVS
        case 5:
            return MemoryKind.UNUSABLE
        case _:
            return MemoryKind.RESERVED


def kind_of_efi(type: u32, services: bool) -> MemoryKind:
    """`services`: EFI's boot services still run, so what belongs to them is not free."""
    match type:
        case 1 | 2 | 7:
            return MemoryKind.RAM
        case 3 | 4:
            return MemoryKind.RESERVED if services else MemoryKind.RAM
        case 8:
            return MemoryKind.UNUSABLE
        case 9:
            return MemoryKind.ACPI
        case 10:
            return MemoryKind.NVS
        case _:
            return MemoryKind.RESERVED
