"""The CPUs' own table walkers. They snoop the data caches, and they cache no entry that would fault for being absent
(Arm DDI 0487, "Translation Lookaside Buffers"; Intel SDM, "Caching Translation Information").
"""

from hv.arch import direct_address, flush_guest, flush_guest_page, flush_hypervisor
from hv.common.mm.format import Walker
from hv.common.mm.types import PAGE_SHIFT, Mfn, paddr_of
from hv.config import CONFIG_SMMUV3
from hv.lang import Final, bounded, u16, u32, u64

if CONFIG_SMMUV3:
    from hv.common.mm.device_maps import device_maps

FEW: Final[u64] = 8  # single entries that are flushed one by one; more of a guest are flushed as a whole


class GuestWalker(Walker):
    """Of a guest's physical map. The tag is the VMID."""

    @staticmethod
    def view(table: Mfn) -> u64:
        return direct_address(paddr_of(table))

    @staticmethod
    def snoops() -> bool:
        return True

    @staticmethod
    def caches_absent() -> bool:
        return False

    @staticmethod
    def invalidate(root: Mfn, tag: u16, start: u64, frames: u64, order: u32) -> None:
        forget_guest(root, tag, start, (frames + (u64(1) << order) - 1) >> order, order)
        if CONFIG_SMMUV3:
            device_maps.forget(tag, start, frames, order)


def forget_guest(root: Mfn, tag: u16, start: u64, entries: u64, order: u32) -> None:
    """The CPUs' part of it."""
    if entries > FEW:
        flush_guest(paddr_of(root), tag)
        return
    for i in bounded(entries, FEW):
        flush_guest_page(paddr_of(root), tag, (start + (i << order)) << PAGE_SHIFT)


class HypervisorWalker(Walker):
    """Of the hypervisor's own address space, which is one and has no tag."""

    @staticmethod
    def view(table: Mfn) -> u64:
        return direct_address(paddr_of(table))

    @staticmethod
    def snoops() -> bool:
        return True

    @staticmethod
    def caches_absent() -> bool:
        return False

    @staticmethod
    def invalidate(root: Mfn, tag: u16, start: u64, frames: u64, order: u32) -> None:
        forget_hypervisor(start, frames, order)


def forget_hypervisor(start: u64, frames: u64, order: u32) -> None:
    """As `Walker.invalidate`."""
    flush_hypervisor(start << PAGE_SHIFT, (frames + (u64(1) << order) - 1) >> order, order)
