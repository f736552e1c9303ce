"""Numbers of memory: frames, addresses, who owns them.

A frame is 4 KiB on every architecture. An order is the binary logarithm of a number of frames: 0 is 4 KiB, 9 is 2 MiB,
18 is 1 GiB.
"""

from hv.lang import Final, NewType, leading_zeros, u16, u32, u64

Gfn = NewType("Gfn", u64)
"""A frame as a guest numbers it."""
Mfn = NewType("Mfn", u64)
"""A frame of the machine."""
Paddr = NewType("Paddr", u64)
"""A byte of the machine's physical memory."""
Gaddr = NewType("Gaddr", u64)
"""A byte of a guest's physical memory."""
DomId = NewType("DomId", u16)

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 4096
ORDER_4K: Final = 0
ORDER_2M: Final = 9
ORDER_1G: Final = 18

NOBODY: Final = DomId(0x7FF4)
"""The owner of a frame that no domain owns (DOMID_INVALID of public/xen.h)."""


def mfn_of(paddr: Paddr) -> Mfn:
    """The frame that holds the byte."""
    return Mfn(paddr >> PAGE_SHIFT)


def paddr_of(mfn: Mfn) -> Paddr:
    return Paddr(mfn << PAGE_SHIFT)


def gfn_of(address: Gaddr) -> Gfn:
    return Gfn(address >> PAGE_SHIFT)


def gaddr_of(gfn: Gfn) -> Gaddr:
    return Gaddr(gfn << PAGE_SHIFT)


def frames_in(bytes: u64) -> u64:
    """Frames that hold so many bytes."""
    return (bytes + (PAGE_SIZE - 1)) >> PAGE_SHIFT


def order_for(bytes: u64) -> u32:
    """The smallest order whose block holds so many bytes."""
    frames = frames_in(bytes)
    return 0 if frames <= 1 else 64 - leading_zeros(frames - 1)
