"""Giving a domain that is built the memory that it shares, in steps."""

from hv.arch import direct_address, zero_to_memory
from hv.common.builder.mistake import Mistake
from hv.common.builder.shares import Share, SharedRegion, shared_regions
from hv.common.mm.frames import frames
from hv.common.mm.heap import largest_block
from hv.common.mm.ownership import put_frames, share_frame
from hv.common.mm.p2m import GuestKind, P2m
from hv.common.mm.types import PAGE_SHIFT, Gfn, Mfn, paddr_of
from hv.lang import Errno, Final, bounded, raises, u32, u64

CLEARED_PER_STEP: Final[u64] = 128  # frames
MAPPED_PER_STEP: Final[u64] = 2048


@raises
def map_share(p2m: P2m, share: Share, done: u64, mistake: Mistake) -> u64:
    """Maps the next frames of a region, of which so many are done. Returns how many it was: none while the region is
    being cleared. ENOMEM: the mistake tells."""
    region = shared_regions.table[share.region]
    if region.first == Mfn(0):
        mistake.tell(f'there is no memory for the shared memory "{region.id}"')
        raise Errno.ENOMEM
    if region.cleared != region.frames:
        clear_some(region)
        return 0
    mfn = Mfn(region.first + done)
    gfn = Gfn(share.gfn + done)
    bank = frames.bank_of(mfn)
    together = min(min(region.frames - done, bank.end - mfn), MAPPED_PER_STEP)
    order = largest_block(u64(gfn) | u64(mfn), together)
    count = u64(1) << order
    first = bank.offset_of(mfn)
    for i in bounded(u32(count), MAPPED_PER_STEP):
        share_frame(bank.record(first + i), region.owner)
    try:
        p2m.add(gfn, mfn, order, GuestKind.FOREIGN).flush()
    except Errno as e:
        put_frames(mfn, count)
        mistake.tell(f'the shared memory "{region.id}" cannot be mapped ({e.name})')
        raise
    return count


def clear_some(region: SharedRegion) -> None:
    """Before anybody has it. Only the CPU that builds the domains at first comes here."""
    count = min(region.frames - region.cleared, CLEARED_PER_STEP)
    zero_to_memory(direct_address(paddr_of(Mfn(region.first + region.cleared))), count << PAGE_SHIFT)
    region.cleared += count
