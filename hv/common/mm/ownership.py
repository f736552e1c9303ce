"""Frames that belong to domains: given out cleared, counted, and taken back when the last reference is dropped.

Every reference that is taken is dropped on all paths. The reference that `allocate_for` makes goes with the mapping of
the frame in its owner's physical map: who removes the mapping drops it, behind the flush.

A frame that is set aside for a domain, or that several share, is OWNED as long as the machine runs, from its first use
on: the hypervisor keeps a reference of its own, so that no other is ever the last, and the frame never goes to the
heap.
"""

from hv.arch import direct_address, zero_to_memory
from hv.common.mm.frames import Frame, Use, frames
from hv.common.mm.heap import heap
from hv.common.mm.types import PAGE_SIZE, DomId, Mfn, paddr_of
from hv.lang import Errno, Final, bounded, raises, u32, u64, unbounded

MAX_REFERENCES: Final[u32] = 0x7FFF_FFFF  # to one frame
LARGEST: Final[u32] = 1 << 18  # frames in a block


@raises
def allocate_for(owner: DomId, order: u32) -> Mfn:
    """A cleared block whose frames are the domain's, with one reference each, near this CPU. A guest may read it with
    its caches off. ENOMEM: no block is large enough."""
    return hand_over(heap.allocate(order), owner, order)


def hand_over(mfn: Mfn, owner: DomId, order: u32) -> Mfn:
    """Clears a block of the heap, whose frames are the domain's from now on, with one reference each."""
    zero_to_memory(direct_address(paddr_of(mfn)), u64(PAGE_SIZE) << order)
    bank = frames.bank_of(mfn)
    first = bank.offset_of(mfn)
    for i in bounded(u32(1) << order, LARGEST):
        bank.record(first + i).own(owner)
    return mfn


def take_set_aside(frame: Frame, owner: DomId) -> bool:
    """For the mapping of a frame that is set aside for a domain, of which nothing is mapped yet: the only reference
    beside the hypervisor's. False: somebody still has another."""
    if not frame.used_as(Use.OWNED):
        frame.own(owner)
    return frame.count.compare_exchange(1, 2)


@raises
def hand_over_set_aside(mfn: Mfn, owner: DomId) -> None:
    """Clears a frame that is set aside for the domain and takes the reference of its mapping. ENOMEM: somebody still
    has another."""
    if not take_set_aside(frames.record(mfn), owner):
        raise Errno.ENOMEM
    zero_to_memory(direct_address(paddr_of(mfn)), PAGE_SIZE)


def share_frame(frame: Frame, owner: DomId) -> None:
    """For another mapping of a frame that domains share, of which there are few. The owner is said with the first one,
    and the hypervisor's own reference comes with it."""
    if not frame.used_as(Use.OWNED):
        frame.own(owner)
    frame.count.add(1)


@raises
def get_frame(mfn: Mfn, owner: DomId) -> None:
    """Takes a reference on a frame. ESRCH: the domain does not own it. EOVERFLOW: too many references."""
    frame = frames.find(mfn)
    if frame is None:
        raise Errno.ESRCH
    _take(frame)
    if frame.owner != owner:
        put_frame(mfn)
        raise Errno.ESRCH


@raises
@unbounded("a compare and exchange fails only when another CPU's succeeds")
def _take(frame: Frame) -> None:
    """ESRCH: nobody owns it. EOVERFLOW: too many references."""
    while True:
        count = frame.count.load_relaxed()
        if count == 0:
            raise Errno.ESRCH
        if count == MAX_REFERENCES:
            raise Errno.EOVERFLOW
        if frame.count.compare_exchange(count, count + 1):
            return


def put_frame(mfn: Mfn) -> None:
    """Drops a reference; the frame goes back to the heap behind the last one."""
    put_frames(mfn, 1)


def put_frames(mfn: Mfn, count: u64) -> None:
    """Drops one reference on each of `count` frames of a block. Those in a row that nobody refers to any more go back
    to the heap together."""
    bank = frames.bank_of(mfn)
    first = bank.offset_of(mfn)
    start = mfn
    for i in bounded(u32(count), LARGEST):
        if not _drop(bank.record(first + i)):
            _give(start, Mfn(mfn + u64(i)))
            start = Mfn(mfn + u64(i) + 1)
    _give(start, Mfn(mfn + count))


def _give(start: Mfn, end: Mfn) -> None:
    """No frames are the usual case, and no reason to take the heap's lock."""
    if start != end:
        heap.give(start, end)


def _drop(frame: Frame) -> bool:
    """True: it was the last reference, and the frame is free to be given to the heap."""
    assert frame.used_as(Use.OWNED), "reference to a frame that nobody owns"
    before = frame.count.sub(1)
    assert before != 0, "reference dropped that nobody held"
    if before != 1:
        return False
    frame.disown()
    return True
