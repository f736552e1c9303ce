"""Entries of x86's translation tables with 4 levels, decoded as the manuals have them (Intel SDM 3A, 4.5 to 4.8; AMD
APM 2, 5.3 to 5.6 and 15.25). Physical addresses have 52 bits, and EFER.NXE, CR0.WP, SMEP and SMAP are on."""

from hv.common.mm.types import PAGE_SHIFT, Mfn
from hv.lang import Final, array, truncate, u8, u32, u64
from hv.sim.stages import Rights, Stage, span
from hv.x86.cpuid import features

WRITABLE: Final[u64] = 1 << 1
USER: Final[u64] = 1 << 2
ACCESSED: Final[u64] = 1 << 5
DIRTY: Final[u64] = 1 << 6
LARGE: Final[u64] = 1 << 7
NO_EXECUTE: Final[u64] = 1 << 63
ADDRESS: Final[u64] = 0x000F_FFFF_FFFF_F000
PERMISSIONS: Final[u64] = 0x87F0_0000_0000_0F66  # rights, accessed, dirty, global, and what software may use

CODE_PRESENT: Final[u32] = 1 << 0  # of a page fault
CODE_WRITE: Final[u32] = 1 << 1
CODE_USER: Final[u32] = 1 << 2
CODE_RESERVED: Final[u32] = 1 << 3
CODE_FETCH: Final[u32] = 1 << 4

MEMORY: Final[array[u8, 8]] = array(0, 255, 255, 1, 2, 255, 1, 1)
"""The PAT of hv/x86/control.py, as `Memory`: 255 for types that the hypervisor does not use."""


def is_leaf(entry: u64, height: u32) -> bool:
    return height == 0 or (entry & LARGE != 0 and height != 3)


def target(entry: u64, height: u32) -> Mfn:
    address = entry & ADDRESS
    if height != 0 and is_leaf(entry, height):
        address &= ~(u64(1) << 12)  # of the PAT
    return Mfn(address >> PAGE_SHIFT)


def well_formed(entry: u64, height: u32) -> bool:
    """Reserved bits are zero: LARGE where no leaf may stand, the address of a block below its size."""
    if height == 3 and entry & LARGE != 0:
        return False
    if height == 2 and entry & LARGE != 0 and not features.pages_1g:
        return False
    return not is_leaf(entry, height) or target(entry, height) & (span(height) - 1) == 0


def rights(entry: u64) -> Rights:
    """Of a leaf or a table: each level can only take away."""
    allowed = Rights.R
    if entry & WRITABLE != 0:
        allowed |= Rights.W
    if entry & NO_EXECUTE == 0:
        allowed |= Rights.X
    if entry & USER != 0:
        allowed |= Rights.USER
    return allowed


def memory(entry: u64, height: u32) -> u8:
    """Of a leaf, by the entry of the PAT that it names."""
    pat = entry >> (7 if height == 0 else 12) & 1
    return MEMORY[truncate(u32, pat << 2 | entry >> 3 & 3)]


def allows(stage: Stage, allowed: Rights, wanted: Rights) -> bool:
    """The supervisor neither executes nor touches what is a user's (SMEP, SMAP)."""
    if stage == Stage.LONG_MODE and Rights.USER in allowed and Rights.USER not in wanted:
        return False
    return allowed & wanted == wanted


def fault_code(wanted: Rights, present: bool, reserved: bool) -> u32:
    """Bits 4:0 of a page fault's error code (Intel SDM 3A, 4.7), and of a nested one's EXITINFO1 (AMD APM 2,
    15.25.6)."""
    code: u32 = 0
    if present:
        code |= CODE_PRESENT
    if Rights.W in wanted:
        code |= CODE_WRITE
    if Rights.USER in wanted:
        code |= CODE_USER
    if reserved:
        code |= CODE_RESERVED
    if Rights.X in wanted:
        code |= CODE_FETCH
    return code
