"""Where a guest's memory lies in its physical address space: two banks, of which the first is filled first.

The architecture says where they lie.
"""

from hv.arch import GUEST_LOWER, GUEST_LOWER_BYTES, GUEST_UPPER, GUEST_UPPER_BYTES
from hv.common.mm.types import PAGE_SHIFT, Gaddr, Gfn, gfn_of
from hv.lang import Final, u64, value

BANK0_START: Final = GUEST_LOWER
BANK0_BYTES: Final[u64] = GUEST_LOWER_BYTES
BANK1_START: Final = GUEST_UPPER
BANK1_BYTES: Final[u64] = GUEST_UPPER_BYTES

MOST_FRAMES: Final[u64] = (BANK0_BYTES + BANK1_BYTES) >> PAGE_SHIFT


@value
class Bank:
    start: Gaddr
    bytes: u64

    @property
    def end(self) -> Gaddr:
        return Gaddr(self.start + self.bytes)


def lower_bank(frames: u64) -> Bank:
    """What a domain with so many frames has in the first bank."""
    return Bank(BANK0_START, min(frames << PAGE_SHIFT, BANK0_BYTES))


def upper_bank(frames: u64) -> Bank:
    """What it has in the second: nothing, mostly."""
    lower = lower_bank(frames)
    return Bank(BANK1_START, (frames << PAGE_SHIFT) - lower.bytes)


def gfn_at(index: u64) -> Gfn:
    """The guest frame of a domain's memory that has so many before it."""
    lower = BANK0_BYTES >> PAGE_SHIFT
    if index < lower:
        return Gfn(gfn_of(BANK0_START) + index)
    return Gfn(gfn_of(BANK1_START) + (index - lower))


def frames_in_bank(index: u64, frames: u64) -> u64:
    """How many of a domain's frames lie in a row from that one on."""
    lower = BANK0_BYTES >> PAGE_SHIFT
    return min(frames, lower) - index if index < lower else frames - index
