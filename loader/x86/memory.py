"""The guest's memory, as its map tells it, and what lies in it already.

Below 4 GiB only, since a kernel is entered without paging.
"""

from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, array, bounded, raises, u32, u64
from hv.x86.start_info import AT_ENTRY_BYTES, AT_ENTRY_START, AT_ENTRY_TYPE, ENTRY_BYTES, RAM
from loader.unpack.fault import expect

FOUR_GIB: Final[u64] = 1 << 32
PAGE: Final[u64] = 4096
MOST_ENTRIES: Final = 256
MOST_TAKEN: Final = 32
NOWHERE: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF


class Range:
    start: u64
    end: u64  # behind the last byte


class Memory:
    map: Bytes
    entries: u32
    taken: array[Range, MOST_TAKEN]
    count: u32

    @raises
    def init(self, map: u64, entries: u32) -> None:
        """EINVAL: there is no map, or one with too many entries."""
        expect(0 < entries <= MOST_ENTRIES, "a memory map of 1 to 256 entries")
        self.entries = entries
        self.map = Bytes(map, u64(entries) * ENTRY_BYTES)
        self.count = 0
        self.take(map, self.map.length)

    @raises
    def take(self, start: u64, bytes: u64) -> None:
        """Something lies there. EINVAL: not below 4 GiB, or there are too many such things."""
        if bytes == 0:
            return
        expect(start < FOUR_GIB and bytes <= FOUR_GIB - start, "what lies in memory below 4 GiB")
        expect(self.count < MOST_TAKEN, "fewer things in memory")
        taken = self.taken[self.count]
        taken.start = start
        taken.end = start + bytes
        self.count += 1

    def is_free(self, start: u64, bytes: u64) -> bool:
        """Whether memory is there, of one entry, and nothing in it. For any numbers at all."""
        if start >= FOUR_GIB or bytes > FOUR_GIB - start:
            return False
        return self._is_memory(start, bytes) and self._behind_taken(start, bytes) == start

    @raises
    def find(self, least: u64, bytes: u64) -> u64:
        """The lowest free place from `least` on, which is page-aligned unless it is that. ENOSPC."""
        at = least
        for _ in bounded(self.entries + self.count + 1, MOST_ENTRIES + MOST_TAKEN + 1):
            if self.is_free(at, bytes):
                return at
            behind = self._behind_taken(at, bytes)
            at = behind if behind != at else self._next_entry(at)
            if at >= FOUR_GIB:
                break
        raise Errno.ENOSPC

    def _is_memory(self, start: u64, bytes: u64) -> bool:
        for i in bounded(self.entries, MOST_ENTRIES):
            first = self._start(i)
            size = self._bytes(i)
            if first <= start and start - first <= size and bytes <= size - (start - first):
                return True
        return False

    def _behind_taken(self, start: u64, bytes: u64) -> u64:
        """The page behind something that lies in the range; `start` when nothing does."""
        for i in bounded(self.count, MOST_TAKEN):
            taken = self.taken[i]
            if taken.start < start + bytes and start < taken.end:
                return page_up(taken.end)
        return start

    def _next_entry(self, after: u64) -> u64:
        """Where the next memory begins."""
        found = NOWHERE
        for i in bounded(self.entries, MOST_ENTRIES):
            start = self._start(i)
            if self._bytes(i) != 0 and start < FOUR_GIB and page_up(start) > after:
                found = min(found, page_up(start))
        return found

    def _start(self, index: u32) -> u64:
        return self.map.le64(u64(index) * ENTRY_BYTES + AT_ENTRY_START)

    def _bytes(self, index: u32) -> u64:
        """0 of an entry that is no memory."""
        at = u64(index) * ENTRY_BYTES
        return self.map.le64(at + AT_ENTRY_BYTES) if self.map.le32(at + AT_ENTRY_TYPE) == RAM else 0


def page_up(address: u64) -> u64:
    return (address + (PAGE - 1)) & ~(PAGE - 1)
