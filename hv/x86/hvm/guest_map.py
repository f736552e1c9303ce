"""What a PVH guest is told of its physical address space: memory, from 0 on, the ACPI tables inside it, and what is
not memory and not free either. The start information and XENMEM_memory_map tell the same.
"""

from hv.common.builder.memory_map import lower_bank, upper_bank
from hv.common.mm.types import PAGE_SIZE
from hv.lang import Final, Iterator, U32Enum, array, bounded, u32, u64, value
from hv.x86.hvm.acpi import TABLES_BYTES

EARLY_END: Final[u64] = 0x3800_0000  # what a 32-bit Linux, and a 64-bit one at its beginning, have mapped ends here
RESERVED: Final[u64] = 0xFEE0_0000  # the local APICs, and at the end the console's page
RESERVED_END: Final[u64] = 0xFF00_0000
MOST_REGIONS: Final = 5


class RegionKind(U32Enum):
    """As the BIOS's E820 and PVH's start information number them."""

    RAM = 1
    RESERVED = 2
    ACPI = 3


@value
class Region:
    start: u64
    bytes: u64
    kind: RegionKind


class GuestMap:
    """In the order of addresses. No region is empty."""

    regions: array[Region, MOST_REGIONS]
    count: u32

    def init(self, frames: u64) -> None:
        """Of a domain with so many."""
        self.count = 0
        tables = tables_start(frames)
        lower = lower_bank(frames).bytes
        self._add(0, tables, RegionKind.RAM)
        self._add(tables, tables + TABLES_BYTES, RegionKind.ACPI)
        self._add(tables + TABLES_BYTES, lower, RegionKind.RAM)
        self._add(RESERVED, RESERVED_END, RegionKind.RESERVED)
        upper = upper_bank(frames)
        self._add(upper.start, upper.start + upper.bytes, RegionKind.RAM)

    def _add(self, start: u64, end: u64, kind: RegionKind) -> None:
        if start < end:
            self.regions[self.count] = Region(start, end - start, kind)
            self.count += 1

    def __iter__(self) -> Iterator[Region]:
        for i in bounded(self.count, MOST_REGIONS):
            yield self.regions[i]


def tables_start(frames: u64) -> u64:
    """Where the ACPI tables begin: at the end of what a kernel has mapped early; 0 in a domain too small for them."""
    end = min(lower_bank(frames).bytes, EARLY_END)
    return end - TABLES_BYTES if end > TABLES_BYTES else 0


def page_below(end: u64, bytes: u64) -> u64:
    """The last page boundary from which so many bytes end at `end` or before; 0: there are not so many."""
    return (end - bytes) & ~u64(PAGE_SIZE - 1) if bytes <= end else 0
