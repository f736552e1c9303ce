"""The heap of frames: a buddy allocator of blocks of 2**order frames, each aligned to its size.

Two free blocks of one order that are halves of one block are merged at once, when they are in one bank, so free memory
always lies in the largest blocks that it can form. What a free block holds is whatever was last written there: memory
is cleared when it is handed out.

Each NUMA node has lists of its own (`Zone`). Who asks for memory has it from the node that is named, the asking CPU's
when none is; when that has no block that is large enough, from the next in turn.

While colours of the last cache matter (coloring.py), blocks that have not all of them are on lists by those that they
have, and colored.py takes from them.

The lock protects the lists, the FREE and TAKEN records of the frame table, and the counts; clearing is done without it.
"""

from hv.arch import direct_address, zero_bytes
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.mm.colors import ColorLists
from hv.common.mm.frames import NO_FRAME, Bank, Use, frames
from hv.common.mm.nodes import MAX_NODES, CpuNode
from hv.common.mm.types import PAGE_SIZE, Mfn, paddr_of
from hv.config import CONFIG_LLC_COLORING
from hv.lang import (
    Errno,
    Final,
    Iterator,
    array,
    bounded,
    guard,
    leading_zeros,
    raises,
    trailing_zeros,
    u8,
    u32,
    u64,
    unbounded,
    value,
)

if CONFIG_LLC_COLORING:
    from hv.common.mm.coloring import coloring

MAX_ORDER: Final[u32] = 18  # 1 GiB
ORDERS: Final = 19


@value
class Block:
    mfn: Mfn
    order: u32


class Zone:
    """What is free of one node."""

    first: array[u32, ORDERS]  # index of the first free block of each order that has all colours
    colors: ColorLists  # of the others, when colours matter
    blocks: array[u32, ORDERS]  # how many there are of each order
    stocked: u32  # bit n: there is a free block of order n
    free_frames: u64

    def link(self, held: Held[Rank.HEAP], index: u32, order: u32) -> None:
        frame = frames.at(index)
        at = list_of(index, order)
        after = self.first[order] if at == BY_ORDER else self.colors.first[at]
        frame.become(Use.FREE)
        frame.order = u8(order)
        frame.next = after
        frame.previous = NO_FRAME
        if after != NO_FRAME:
            frames.at(after).previous = index
        self._begin(at, order, index)
        self.blocks[order] += 1
        self.stocked |= u32(1) << order

    def unlink(self, held: Held[Rank.HEAP], index: u32, order: u32) -> None:
        frame = frames.at(index)
        if frame.previous == NO_FRAME:
            self._begin(list_of(index, order), order, frame.next)
        else:
            frames.at(frame.previous).next = frame.next
        if frame.next != NO_FRAME:
            frames.at(frame.next).previous = frame.previous
        self.blocks[order] -= 1
        if self.blocks[order] == 0:
            self.stocked &= ~(u32(1) << order)

    def any_of(self, order: u32) -> u32:
        """The index of a block of this order, of which there are some."""
        if CONFIG_LLC_COLORING and order < coloring.bits:
            return self.colors.first[self.colors.stocked.first_set(coloring.in_use >> order)]
        return self.first[order]

    def _begin(self, at: u32, order: u32, index: u32) -> None:
        if at == BY_ORDER:
            self.first[order] = index
        else:
            self.colors.put(at, index)


BY_ORDER: Final[u32] = 0


def list_of(index: u32, order: u32) -> u32:
    """Which of the colours' lists the block that begins there belongs on; BY_ORDER: it has all colours."""
    if CONFIG_LLC_COLORING and order < coloring.bits:
        return coloring.in_use + coloring.of(frames.mfn_at(index)) >> order
    return BY_ORDER


class Heap:
    lock: SpinLock[Rank.HEAP]
    zones: array[Zone, MAX_NODES]
    zone_count: u32  # nodes beyond it have no memory
    free_frames: u64  # in all zones

    @raises
    def allocate(self, order: u32) -> Mfn:
        """A block with undefined contents, near this CPU. ENOMEM: no free block is large enough."""
        return self.allocate_near(order, CpuNode.this().node)

    @raises
    def allocate_near(self, order: u32, node: u32) -> Mfn:
        """From the node, or else from another. ENOMEM: no free block is large enough."""
        if order > MAX_ORDER:
            raise Errno.ENOMEM
        with self.lock as held:
            for near in self.nodes_from(node):
                suitable = self.zones[near].stocked >> order << order
                if suitable != 0:
                    return self._take(held, self.zones[near], trailing_zeros(suitable), order)
        raise Errno.ENOMEM

    @raises
    def largest_near(self, order: u32, node: u32) -> "Block":
        """The largest block that the node has, of this order at most; from another when it has nothing at all.
        Its contents are undefined. ENOMEM: nothing is free."""
        with self.lock as held:
            for near in self.nodes_from(node):
                zone = self.zones[near]
                largest = min(order, MAX_ORDER)
                enough = zone.stocked >> largest << largest
                if enough != 0:
                    return Block(self._take(held, zone, trailing_zeros(enough), largest), largest)
                if zone.stocked != 0:
                    smaller = 31 - leading_zeros(zone.stocked)
                    return Block(self._take(held, zone, smaller, smaller), smaller)
        raise Errno.ENOMEM

    def nodes_from(self, node: u32) -> Iterator[u32]:
        """The nodes that have memory, in the order in which memory is taken for who wants it from this one."""
        first = node if node < self.zone_count else 0
        for i in bounded(self.zone_count, MAX_NODES):
            yield first + i if first + i < self.zone_count else first + i - self.zone_count

    @raises
    def allocate_zeroed(self, order: u32) -> Mfn:
        """A cleared block, near this CPU. ENOMEM: no free block is large enough."""
        return self.allocate_zeroed_near(order, CpuNode.this().node)

    @raises
    def allocate_zeroed_near(self, order: u32, node: u32) -> Mfn:
        """A cleared block from the node, or else from another. ENOMEM: no free block is large enough."""
        mfn = self.allocate_near(order, node)
        zero_bytes(direct_address(paddr_of(mfn)), u64(PAGE_SIZE) << order)
        return mfn

    @raises
    def allocated(self, order: u32) -> "Allocation":
        """A cleared block, near this CPU, that goes back at the end of the `with` unless it is kept. ENOMEM: no free
        block is large enough."""
        return self.allocated_near(order, CpuNode.this().node)

    @raises
    def allocated_near(self, order: u32, node: u32) -> "Allocation":
        return Allocation(self, self.allocate_zeroed_near(order, node), order, False)

    def free(self, mfn: Mfn, order: u32) -> None:
        """Takes back a block as it was handed out."""
        with self.lock as held:
            frame = frames.record(mfn)
            assert frame.used_as(Use.TAKEN) and u32(frame.order) == order, "freed what was not allocated so"
            self._put(held, mfn, order)

    def give(self, start: Mfn, end: Mfn) -> None:
        """Adds frames start … end - 1, which nobody uses, in blocks as large as possible."""
        with self.lock as held:
            self._give(held, start, end)

    @unbounded("each block brings `at` nearer to the end")
    def _give(self, held: Held[Rank.HEAP], start: Mfn, end: Mfn) -> None:
        at = start
        while at < end:
            bank = frames.bank_of(at)
            order = largest_block(at, min(u64(end), bank.end) - at)
            self._put(held, at, order)
            at = Mfn(at + (u64(1) << order))

    def _take(self, held: Held[Rank.HEAP], zone: Zone, found: u32, order: u32) -> Mfn:
        """Hands out the start of some free block of order `found`."""
        return self.split(held, zone, zone.any_of(found), found, order, 0)

    def split(self, held: Held[Rank.HEAP], zone: Zone, index: u32, found: u32, order: u32, offset: u32) -> Mfn:
        """Hands out what begins so many frames behind the start of a free block of order `found`, and puts the halves
        that are not needed back on their lists."""
        block = frames.at(index)
        assert block.used_as(Use.FREE) and u32(block.order) == found, "the heap's list names a frame that is not free"
        zone.unlink(held, index, found)
        zone.free_frames -= u64(1) << order
        self.free_frames -= u64(1) << order
        for half in bounded(order, found, ORDERS):
            zone.link(held, index + ((offset >> half ^ 1) << half), half)
        taken = frames.at(index + offset)
        taken.become(Use.TAKEN)
        taken.order = u8(order)
        return frames.mfn_at(index + offset)

    @unbounded("each merge is of a higher order")
    def _put(self, held: Held[Rank.HEAP], mfn: Mfn, order: u32) -> None:
        """Links a block as free, merged with its other half as often as that is free too, and in the same bank."""
        bank = frames.bank_of(mfn)
        zone = self._zone_of(held, bank)
        zone.free_frames += u64(1) << order
        self.free_frames += u64(1) << order
        start = mfn
        merged = order
        while merged < MAX_ORDER:
            other = Mfn(start ^ u64(1) << merged)
            if other not in bank:
                break
            neighbour = bank.record(bank.offset_of(other))
            if not neighbour.used_as(Use.FREE) or u32(neighbour.order) != merged:
                break
            zone.unlink(held, bank.index_of(other), merged)
            neighbour.become(Use.RESERVED)
            bank.record(bank.offset_of(start)).become(Use.RESERVED)
            start = Mfn(start & ~(u64(1) << merged))
            merged += 1
        zone.link(held, bank.index_of(start), merged)

    def _zone_of(self, held: Held[Rank.HEAP], bank: Bank) -> Zone:
        if bank.node >= self.zone_count:
            self.zone_count = bank.node + 1
        return self.zones[bank.node]


@guard
class Allocation:
    """A block that goes back to the heap unless it is kept."""

    heap: Heap
    mfn: Mfn
    order: u32
    kept: bool

    def __enter__(self) -> "Allocation":
        return self

    def keep(self) -> None:
        """The block belongs to somebody else from now on."""
        self.kept = True

    def __exit__(self, *_: object) -> None:
        if not self.kept:
            self.heap.free(self.mfn, self.order)


def largest_block(start: u64, frames: u64) -> u32:
    """The greatest order of an aligned block that begins at frame `start` and takes at most so many frames, at least
    one."""
    assert frames != 0, "no frames"
    fits = 63 - leading_zeros(frames)
    aligned = MAX_ORDER if start == 0 else trailing_zeros(start)
    return min(min(fits, aligned), MAX_ORDER)


heap: Final = Heap()
