"""The heap of frames: a buddy allocator of blocks of 2**order frames, each aligned to its size.

Two free blocks of one order that are halves of one block are merged at once, so free memory always lies in the largest
blocks that it can form. What a free block holds is whatever was last written there: memory is cleared when it is handed
out.

The lock protects the lists, the FREE and TAKEN records of the frame table, and the counts; clearing is done without it.
"""

from hv.arch import direct_address, zero_bytes
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.mm.frames import NO_FRAME, Use, frames
from hv.common.mm.types import PAGE_SIZE, Mfn, paddr_of
from hv.lang import Errno, Final, array, bounded, guard, leading_zeros, raises, trailing_zeros, u8, u32, u64, unbounded

MAX_ORDER: Final[u32] = 18  # 1 GiB
ORDERS: Final = 19


class Heap:
    lock: SpinLock[Rank.HEAP]
    first: array[u32, ORDERS]  # index of the first free block of each order
    blocks: array[u32, ORDERS]  # how many there are
    stocked: u32  # bit n: there is a free block of order n
    free_frames: u64

    @raises
    def allocate(self, order: u32) -> Mfn:
        """A block with undefined contents. ENOMEM: no free block is large enough."""
        if order > MAX_ORDER:
            raise Errno.ENOMEM
        with self.lock as held:
            suitable = self.stocked >> order << order
            if suitable == 0:
                raise Errno.ENOMEM
            return self._take(held, trailing_zeros(suitable), order)

    @raises
    def allocate_zeroed(self, order: u32) -> Mfn:
        """A cleared block. ENOMEM: no free block is large enough."""
        mfn = self.allocate(order)
        zero_bytes(direct_address(paddr_of(mfn)), u64(PAGE_SIZE) << order)
        return mfn

    @raises
    def allocated(self, order: u32) -> "Allocation":
        """A cleared block that goes back at the end of the `with` unless it is kept. ENOMEM: no free block is large
        enough."""
        return Allocation(self, self.allocate_zeroed(order), order, False)

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
            order = largest_block(at, end - at)
            self._put(held, at, order)
            at = Mfn(at + (u64(1) << order))

    def _take(self, held: Held[Rank.HEAP], found: u32, order: u32) -> Mfn:
        """Hands out the start of the first free block of order `found`, and puts the halves that are not needed back on
        their lists."""
        index = self.first[found]
        frame = frames.at(index)
        assert frame.used_as(Use.FREE) and u32(frame.order) == found, "the heap's list names a frame that is not free"
        self._unlink(held, index, found)
        mfn = frames.mfn_at(index)
        self.free_frames -= u64(1) << order
        for half in bounded(order, found, ORDERS):
            self._link(held, index + (u32(1) << half), half)
        frame.become(Use.TAKEN)
        frame.order = u8(order)
        return mfn

    @unbounded("each merge is of a higher order")
    def _put(self, held: Held[Rank.HEAP], mfn: Mfn, order: u32) -> None:
        """Links a block as free, merged with its other half as often as that is free too."""
        self.free_frames += u64(1) << order
        start = mfn
        merged = order
        while merged < MAX_ORDER:
            other = frames.index_of(Mfn(start ^ u64(1) << merged))
            if other == NO_FRAME:
                break
            neighbour = frames.at(other)
            if not neighbour.used_as(Use.FREE) or u32(neighbour.order) != merged:
                break
            self._unlink(held, other, merged)
            neighbour.become(Use.RESERVED)
            frames.record(start).become(Use.RESERVED)
            start = Mfn(start & ~(u64(1) << merged))
            merged += 1
        self._link(held, frames.index_of(start), merged)

    def _link(self, held: Held[Rank.HEAP], index: u32, order: u32) -> None:
        frame = frames.at(index)
        after = self.first[order]
        frame.become(Use.FREE)
        frame.order = u8(order)
        frame.next = after
        frame.previous = NO_FRAME
        if after != NO_FRAME:
            frames.at(after).previous = index
        self.first[order] = index
        self.blocks[order] += 1
        self.stocked |= u32(1) << order

    def _unlink(self, held: Held[Rank.HEAP], index: u32, order: u32) -> None:
        frame = frames.at(index)
        if frame.previous == NO_FRAME:
            self.first[order] = frame.next
        else:
            frames.at(frame.previous).next = frame.next
        if frame.next != NO_FRAME:
            frames.at(frame.next).previous = frame.previous
        self.blocks[order] -= 1
        if self.first[order] == NO_FRAME:
            self.stocked &= ~(u32(1) << order)


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
