"""The stream table of an SMMUv3: which stream's transactions go through which tables (Arm IHI 0070, 3.3, 5.1, 5.2).

A stream without an entry that is valid is aborted: all are at first, and those of a domain when it ends. Streams are
worked on by groups of 256, which one command makes the SMMU read anew. A table of two levels has a table for a group
only where one is needed, and where all of a group are a domain's, that is the domain's table of 256 equal entries, for
as many groups as it has. The unit's lock protects it.

The order of stores is that of IHI 0070, 3.21.3: an entry's first word, which makes it valid, comes last, and goes
first.
"""

from hv.arch import clean_to_memory, direct_address, publish_table, store_entry, write_device32
from hv.arm64.smmuv3_layout import (
    ENTRY_SIZE,
    ENTRY_WORDS,
    GROUP,
    GROUP_BITS,
    GROUP_ORDER,
    STRTAB_BASE,
    STRTAB_BASE_CFG,
    StreamLevel,
    StreamTableConfig,
)
from hv.arm64.smmuv3_queue import write_wide
from hv.common.mm.heap import heap
from hv.common.mm.pagetable import load
from hv.common.mm.types import PAGE_SIZE, Mfn, Paddr, order_for, paddr_of
from hv.lang import Final, bounded, raises, u32, u64, value

MOST_LINEAR_BITS: Final[u32] = 16  # 4 MiB
MOST_LEVEL_BITS: Final[u32] = 25  # 1 MiB of the first level
ADDRESS: Final[u64] = 0xF_FFFF_FFFF_FFC0
LEVEL_BYTES: Final[u64] = 8


@value
class StreamEntry:
    """The words that are not zero."""

    head: u64
    attributes: u64
    stage2: u64
    root: u64


class StreamTable:
    two_level: bool
    snoops: bool
    bits: u32  # of a stream's number
    base: u64

    @staticmethod
    def bits_of(bits: u32, two_level: bool) -> u32:
        """Of the stream numbers that a table is made for, when the SMMU has so many, and may have two levels."""
        return min(bits, MOST_LEVEL_BITS if two_level and bits > GROUP_BITS else MOST_LINEAR_BITS)

    @raises
    def init(self, registers: u64, bits: u32, two_level: bool, snoops: bool) -> None:
        """ENOMEM."""
        self.two_level = two_level and bits > GROUP_BITS
        self.snoops = snoops
        self.bits = StreamTable.bits_of(bits, two_level)
        order = order_for(LEVEL_BYTES << self.bits - GROUP_BITS if self.two_level else ENTRY_SIZE << self.bits)
        table = heap.allocate_zeroed(order)
        self.base = direct_address(paddr_of(table))
        clean_to_memory(self.base, u64(PAGE_SIZE) << order)
        config = StreamTableConfig(bits=self.bits)
        if self.two_level:
            config.split = GROUP_BITS
            config.two_level = 1
        write_wide(registers + STRTAB_BASE, paddr_of(table))
        write_device32(registers + STRTAB_BASE_CFG, config.raw)

    def is_free(self, stream: u32) -> bool:
        """Whether a stream's group has no table, and can have one."""
        return self.two_level and self._group(stream) == 0

    def has_table(self, stream: u32, table: Mfn) -> bool:
        return table != 0 and self.two_level and self._group(stream) == paddr_of(table)

    @raises
    def make_room(self, stream: u32) -> Mfn:
        """A table for the group of a stream, before the lock is taken; 0: it has one. ENOMEM."""
        if not self.is_free(stream):
            return Mfn(0)
        return new_group(self.snoops)

    def link(self, stream: u32, table: Mfn) -> None:
        """Lets a stream's group have a table, which has none."""
        publish_table()
        self._store(self._level(stream), StreamLevel(span=u64(GROUP_BITS + 1)).raw | paddr_of(table))

    def unlink(self, stream: u32) -> None:
        """Of a group whose table is a domain's."""
        self._store(self._level(stream), 0)

    def set(self, stream: u32, entry: StreamEntry) -> None:
        """Of a stream whose group has a table."""
        set_entry(self._entry(stream), entry, self.snoops)

    def clear(self, stream: u32) -> None:
        if not self.two_level or self._group(stream) != 0:
            self._store(self._entry(stream), 0)

    def _level(self, stream: u32) -> u64:
        return self.base + u64(stream >> GROUP_BITS) * LEVEL_BYTES

    def _group(self, stream: u32) -> u64:
        """The table of a stream's group, physically; 0: none."""
        return load(self._level(stream)) & ADDRESS

    def _entry(self, stream: u32) -> u64:
        if not self.two_level:
            return self.base + u64(stream) * ENTRY_SIZE
        return direct_address(Paddr(self._group(stream))) + u64(stream % GROUP) * ENTRY_SIZE

    def _store(self, slot: u64, word: u64) -> None:
        store_entry(slot, word)
        if not self.snoops:
            clean_to_memory(slot, LEVEL_BYTES)


@raises
def new_group(snoops: bool) -> Mfn:
    """A table of 256 entries, none of them valid. ENOMEM."""
    table = heap.allocate_zeroed(GROUP_ORDER)
    if not snoops:
        clean_to_memory(direct_address(paddr_of(table)), u64(PAGE_SIZE) << GROUP_ORDER)
    return table


def fill_group(table: Mfn, entry: StreamEntry, snoops: bool) -> None:
    """Before it is linked."""
    for i in bounded(GROUP, GROUP):
        set_entry(direct_address(paddr_of(table)) + u64(i) * ENTRY_SIZE, entry, snoops)


def set_entry(slot: u64, entry: StreamEntry, snoops: bool) -> None:
    """One that is not valid becomes this one."""
    store_entry(slot + 8, entry.attributes)
    store_entry(slot + 16, entry.stage2)
    store_entry(slot + 24, entry.root)
    for i in bounded(4, ENTRY_WORDS, ENTRY_WORDS):
        store_entry(slot + u64(i) * 8, 0)
    if not snoops:
        clean_to_memory(slot, ENTRY_SIZE)
    publish_table()
    store_entry(slot, entry.head)
    if not snoops:
        clean_to_memory(slot, LEVEL_BYTES)
