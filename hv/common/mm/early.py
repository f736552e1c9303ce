"""Memory before the heap: which ranges are RAM, which are taken, and handing the rest to the heap.

Boot code adds the RAM of the machine, reserves what lies in it (the image, the tree, modules, /memreserve/,
reserved-memory), maps what `ram` says, and calls `start_heap`. What was reserved for the time of booting is given to
the heap later by `heap.give`. Used by the boot CPU alone; takes no lock.
"""

from hv.common.kernel.log import warning
from hv.common.mm.frames import MAX_BANKS, FrameTable, frames
from hv.common.mm.heap import heap
from hv.common.mm.nodes import MAX_SPANS, Span, nodes
from hv.common.mm.types import PAGE_SIZE, Paddr, mfn_of
from hv.config import CONFIG_LLC_COLORING
from hv.lang import Embedded, Errno, Final, Iterator, array, bounded, raises, u32, u64, value

if CONFIG_LLC_COLORING:
    from hv.common.mm.colored import begin_lists, bytes_for_lists
    from hv.common.mm.coloring import coloring

MAX_RANGES: Final[u32] = 128
MAX_PIECES: Final = MAX_SPANS * 2 + 1  # of a range that nodes have
LAST_PAGE: Final[u64] = 0xFFFF_FFFF_FFFF_F000


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

    @raises
    def keep_only(self, kept: "Ranges") -> None:
        """Removes what the others do not have. ENOSPC: too many ranges."""
        at = Paddr(0)
        for part in kept:
            self.remove(at, part.start)
            at = part.end
        self.remove(at, Paddr(LAST_PAGE))

    def overlaps(self, start: Paddr, end: Paddr) -> bool:
        return start < end and self._overlapping(start, end) != self.count

    def cover(self, start: u64, end: u64) -> bool:
        """Whether one of them holds all of it."""
        for part in self:
            if part.start <= start and end <= part.end:
                return True
        return False

    @property
    def bytes(self) -> u64:
        """In all of them."""
        total: u64 = 0
        for part in self:
            total += part.bytes
        return total

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
        return self.allocate_within(bytes, alignment, Paddr(0), Paddr(LAST_PAGE))

    @raises
    def allocate_within(self, bytes: u64, alignment: u64, low: Paddr, high: Paddr) -> Paddr:
        """As `allocate`, from the pages of low … high - 1. ENOMEM."""
        size = page_up(bytes)
        for i in bounded(self.free.count, MAX_RANGES):
            candidate = self.free.ranges[self.free.count - 1 - i]
            bottom = max(candidate.start, low)
            top = min(candidate.end, high)
            if bottom >= top or top - bottom < size:
                continue
            start = Paddr((top - size) & ~(max(alignment, PAGE_SIZE) - 1))
            if start >= bottom:
                self.free.remove(start, Paddr(start + size))
                return start
        raise Errno.ENOMEM

    def pieces(self) -> Iterator[Span]:
        """RAM, in pieces that one NUMA node has. A page that two have is the upper one's."""
        for part in self.ram:
            at = part.start
            for _ in range(MAX_PIECES):
                if at >= part.end:
                    break
                piece = nodes.piece(at, part.end)
                end = Paddr(min(page_up(piece.end), part.end))
                yield Span(at, end, piece.node)
                at = end

    def piece_count(self) -> u32:
        total: u32 = 0
        for _ in self.pieces():
            total += 1
        return total


def page_up(address: u64) -> u64:
    return (address + (PAGE_SIZE - 1)) & ~u64(PAGE_SIZE - 1)


def page_down(address: u64) -> u64:
    return address & ~u64(PAGE_SIZE - 1)


early: Final = EarlyMemory()


def is_early() -> bool:
    """Whether the heap has not been started: what is free here is nobody's."""
    return frames.bank_count == 0


@raises
def start_heap() -> None:
    """Makes the frame table and gives the heap what is free. The direct map shows all RAM, and NUMA nodes are known, by
    now. ENOMEM, E2BIG."""
    if early.piece_count() > MAX_BANKS:
        warning("NUMA nodes have their memory in too many pieces: the machine counts as one node")
        nodes.forget()
    for piece in early.pieces():
        count = (piece.end - piece.start) // PAGE_SIZE
        frames.add_bank(mfn_of(piece.start), count, records_for(count, piece), piece.node)
    if CONFIG_LLC_COLORING and coloring.bits != 0:
        begin_lists(nodes.count, early.allocate(bytes_for_lists(nodes.count), PAGE_SIZE))
    for part in early.free:
        heap.give(mfn_of(part.start), mfn_of(part.end))


@raises
def records_for(count: u64, piece: Span) -> Paddr:
    """Room for the records of so many frames, in the piece that they are of when it has it. ENOMEM."""
    bytes = FrameTable.bytes_for(count)
    try:
        return early.allocate_within(bytes, PAGE_SIZE, piece.start, piece.end)
    except Errno:
        return early.allocate(bytes, PAGE_SIZE)
