"""Descriptors of Arm's translation tables, decoded as the manual has them (Arm DDI 0487, "VMSAv8-64 translation table
format descriptors"). The hardware does not manage access flags: TCR_EL2.HA and VTCR_EL2.HA are zero."""

from hv.common.mm.types import PAGE_SHIFT, Mfn
from hv.lang import Final, truncate, u8, u32, u64
from hv.sim.stages import ALL, Rights, Stage, span

TABLE_OR_PAGE: Final[u64] = 1 << 1
ACCESSED: Final[u64] = 1 << 10
ADDRESS: Final[u64] = 0xFFFF_FFFF_F000
PERMISSIONS: Final[u64] = 0x07C0_0000_0000_00C0  # bits 58:54 and 7:6: what may change without a break


def is_leaf(entry: u64, height: u32) -> bool:
    return height == 0 or entry & TABLE_OR_PAGE == 0


def target(entry: u64) -> Mfn:
    return Mfn((entry & ADDRESS) >> PAGE_SHIFT)


def well_formed(stage: Stage, entry: u64, height: u32) -> bool:
    """A page has bit 1; a leaf has the access flag and stands at height 2 or below, aligned to its size; stage 1 of EL2
    has bit 6."""
    if height == 0 and entry & TABLE_OR_PAGE == 0:
        return False
    if not is_leaf(entry, height):
        return True
    if height > 2 or entry & ACCESSED == 0 or target(entry) & (span(height) - 1) != 0:
        return False
    return stage == Stage.GUEST or entry >> 6 & 1 == 1


def rights(stage: Stage, entry: u64, height: u32) -> Rights:
    """EL2 reads whatever it maps."""
    if not is_leaf(entry, height):
        return ALL
    allowed = Rights.USER
    if stage == Stage.HYPERVISOR or entry >> 6 & 1 == 1:
        allowed |= Rights.R
    if (entry >> 7 & 1 == 0) == (stage == Stage.HYPERVISOR):
        allowed |= Rights.W
    if entry >> 54 & 1 == 0:
        allowed |= Rights.X
    return allowed


def memory(stage: Stage, entry: u64) -> u8:
    """Of a leaf, as `Memory`: AttrIndx of stage 1 by boot/arm64/layout.h, MemAttr of stage 2."""
    if stage == Stage.HYPERVISOR:
        return truncate(u8, entry >> 2 & 7)
    match entry >> 2 & 15:
        case 15:
            return 0
        case 1:
            return 1
        case 5:
            return 2
        case _:
            return 255
