"""Copying to and from a guest's physical memory, frame by frame, with a reference held on each.

The guest may change its map and its memory meanwhile: a copy sees each frame as it was at some moment, and reads each
byte once. What was written is cleaned to memory, since a guest may look at it with its caches off.
"""

from hv.arch import clean_to_memory, copy_bytes, direct_address
from hv.common.mm.format import Access
from hv.common.mm.ownership import get_frame, put_frame
from hv.common.mm.p2m import GuestKind, P2m
from hv.common.mm.types import PAGE_SIZE, Gaddr, Mfn, gfn_of, paddr_of
from hv.lang import Errno, raises, u64, unbounded


@raises
@unbounded("each step copies to the next frame")
def copy_to_guest(p2m: P2m, address: Gaddr, source: u64, length: u64) -> None:
    """Copies `length` bytes from mapped memory at `source`. EFAULT: the range is not all the domain's own writable
    memory; what lies before has been written."""
    done: u64 = 0
    while done < length:
        at = Gaddr(address + done)
        count = min(length - done, page_rest(at))
        mfn = _hold(p2m, at, True)
        to = direct_address(paddr_of(mfn)) + at % PAGE_SIZE
        copy_bytes(to, source + done, count)
        clean_to_memory(to, count)
        put_frame(mfn)
        done += count


@raises
@unbounded("each step copies from the next frame")
def copy_from_guest(p2m: P2m, address: Gaddr, to: u64, length: u64) -> None:
    """Copies `length` bytes to mapped memory at `to`. EFAULT: the range is not all the domain's own memory; what lies
    before has been copied."""
    done: u64 = 0
    while done < length:
        at = Gaddr(address + done)
        count = min(length - done, page_rest(at))
        mfn = _hold(p2m, at, False)
        copy_bytes(to + done, direct_address(paddr_of(mfn)) + at % PAGE_SIZE, count)
        put_frame(mfn)
        done += count


@raises
def _hold(p2m: P2m, address: Gaddr, writing: bool) -> Mfn:
    """Takes a reference on the frame behind the address. EFAULT: it is not the domain's own, or only to be read."""
    found = p2m.lookup(gfn_of(address))
    needed = Access.W if writing else Access.R
    if found.kind not in (GuestKind.RAM, GuestKind.READ_ONLY, GuestKind.SHARED) or needed not in found.access:
        raise Errno.EFAULT
    try:
        get_frame(found.mfn, p2m.domain)
    except Errno:
        raise Errno.EFAULT from None
    return found.mfn


def page_rest(address: u64) -> u64:
    """Bytes from the address to the end of its page."""
    return PAGE_SIZE - address % PAGE_SIZE
