"""Memory before the heap: which ranges are RAM, which are taken, and handing the rest to the heap.

Boot code adds the RAM of the machine, reserves what lies in it (the image, the tree, modules, /memreserve/,
reserved-memory), maps what `ram` says, and calls `start_heap`. What was reserved for the time of booting is given to
the heap later by `heap.give`. Used by the boot CPU alone; takes no lock.
"""

from hv.common.mm.frames import FrameTable, frames
from hv.common.mm.heap import heap
from hv.common.mm.types import PAGE_SIZE, Paddr, mfn_of
from hv.lang import Embedded, Errno, Final, Iterator, array, bounded, raises, u32, u64, value

MAX_RANGES: Final[u32] = 128


@value
class Range:
    """Bytes start … end - 1."""

    start: Paddr
    end: Paddr

    @property
    def bytes(self) -> u64:
        return self.end - self.start


class Ranges:
    """Disjoint ranges in ascending order; none touches the next."""

    ranges: array[Range, MAX_RANGES]
    count: u32

    def __iter__(self) -> Iterator[Range]:
        for i in bounded(self.count, MAX_RANGES):
            yield self.ranges[i]

    @raises
    def add(self, start: Paddr, end: Paddr) -> None:
        """ENOSPC: too many ranges."""
        if start >= end:
            return
        lower = self._ends_before(start)
        upper = self._starts_up_to(end)
        if lower == upper:
            self._insert(lower, Range(start, end))
            return
        joined = Range(min(start, self.ranges[lower].start), max(end, self.ranges[upper - 1].end))
        self.ranges[lower] = joined
        self._delete(lower + 1, upper)

    @raises
    def remove(self, start: Paddr, end: Paddr) -> None:
        """ENOSPC: too many ranges."""
        if start >= end:
            return
        for _ in bounded(self.count, MAX_RANGES):
            i = self._overlapping(start, end)
            if i == self.count:
                return
            found = self.ranges[i]
            if found.start < start and end < found.end:
                self._insert(i + 1, Range(end, found.end))
                self.ranges[i] = Range(found.start, start)
            elif found.start < start:
                self.ranges[i] = Range(found.start, start)
            elif end < found.end:
                self.ranges[i] = Range(end, found.end)
            else:
                self._delete(i, i + 1)

    def overlaps(self, start: Paddr, end: Paddr) -> bool:
        return start < end and self._overlapping(start, end) != self.count

    def _overlapping(self, start: Paddr, end: Paddr) -> u32:
        """The first range that shares a byte with start … end - 1; `count` when none does."""
        for i in bounded(self.count, MAX_RANGES):
            if self.ranges[i].start < end and start < self.ranges[i].end:
                return i
        return self.count

    def _ends_before(self, start: Paddr) -> u32:
        """How many ranges end below `start` without touching it."""
        for i in bounded(self.count, MAX_RANGES):
            if self.ranges[i].end >= start:
                return i
        return self.count

    def _starts_up_to(self, end: Paddr) -> u32:
        """How many ranges start at `end` or below."""
        for i in bounded(self.count, MAX_RANGES):
            if self.ranges[i].start > end:
                return i
        return self.count

    @raises
    def _insert(self, at: u32, added: Range) -> None:
        if self.count == MAX_RANGES:
            raise Errno.ENOSPC
        for i in bounded(self.count - at, MAX_RANGES):
            self.ranges[self.count - i] = self.ranges[self.count - i - 1]
        self.ranges[at] = added
        self.count += 1

    def _delete(self, first: u32, end: u32) -> None:
        for i in bounded(end, self.count, MAX_RANGES):
            self.ranges[first + (i - end)] = self.ranges[i]
        self.count -= end - first


class EarlyMemory:
    ram: Embedded[Ranges]
    free: Embedded[Ranges]

    @raises
    def add_ram(self, start: Paddr, end: Paddr) -> None:
        """Whole pages within the range. ENOSPC: too many ranges."""
        first = Paddr(page_up(start))
        last = Paddr(page_down(end))
        self.ram.add(first, last)
        self.free.add(first, last)

    @raises
    def reserve(self, start: Paddr, end: Paddr) -> None:
        """All pages that the range touches, whether they are RAM or not. Call it behind `add_ram`. ENOSPC: too many
        ranges."""
        if start < end:
            self.free.remove(Paddr(page_down(start)), Paddr(page_up(end)))

    @raises
    def allocate(self, bytes: u64, alignment: u64) -> Paddr:
        """Whole pages, from the top of memory, never given back; their contents are undefined. `alignment` is a power
        of two. ENOMEM."""
        size = page_up(bytes)
        for i in bounded(self.free.count, MAX_RANGES):
            candidate = self.free.ranges[self.free.count - 1 - i]
            if candidate.bytes < size:
                continue
            start = Paddr((candidate.end - size) & ~(max(alignment, PAGE_SIZE) - 1))
            if start >= candidate.start:
                self.free.remove(start, Paddr(start + size))
                return start
        raise Errno.ENOMEM


def page_up(address: u64) -> u64:
    return (address + (PAGE_SIZE - 1)) & ~u64(PAGE_SIZE - 1)


def page_down(address: u64) -> u64:
    return address & ~u64(PAGE_SIZE - 1)


early: Final = EarlyMemory()


@raises
def start_heap() -> None:
    """Makes the frame table and gives the heap what is free. The direct map shows all RAM by now. ENOMEM, E2BIG."""
    for bank in early.ram:
        count = bank.bytes // PAGE_SIZE
        storage = early.allocate(FrameTable.bytes_for(count), PAGE_SIZE)
        frames.add_bank(mfn_of(bank.start), count, storage)
    for part in early.free:
        heap.give(mfn_of(part.start), mfn_of(part.end))
