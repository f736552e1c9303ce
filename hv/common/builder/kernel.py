"""Where a kernel, its device tree and its ramdisk go in a guest's memory.

The kernel stands at the start of the first bank, as far above it as its header asks. Tree and ramdisk stand behind
each other, 128 MiB above the start of the bank when the kernel ends before and the memory is large enough; else at
the end of the bank; else between the start of the bank and the kernel. They begin at multiples of 2 MiB, in a bank
too small for that at multiples of 4 KiB. Linux's own rules are kept (Documentation/arch/arm64/booting.rst): the tree
takes 2 MiB at most and is aligned to 8 bytes, the ramdisk lies in the same 32 GiB as the kernel.
"""

from hv.common.builder.loader import Placement
from hv.common.builder.memory_map import Bank, lower_bank
from hv.common.lib.image import BASE_ALIGNMENT, Image
from hv.common.mm.types import PAGE_SIZE, Gaddr
from hv.lang import Errno, Final, raises, u64

MODULES: Final[u64] = 0x800_0000  # above the start of the bank
LARGEST_TREE: Final[u64] = 0x20_0000
NOWHERE: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF


@raises
def place(image: Image, frames: u64, ramdisk: u64, tree: u64) -> Placement:
    """For a domain with so many frames at the usual place: as `place_in`."""
    return place_in(image, lower_bank(frames), ramdisk, tree)


@raises
def place_in(image: Image, bank: Bank, ramdisk: u64, tree: u64) -> Placement:
    """For a domain with this bank, a ramdisk and a tree of so many bytes. ENOSPC: they do not fit in it."""
    if image.size > bank.bytes or image.text_offset > bank.bytes - image.size or ramdisk > bank.bytes:
        raise Errno.ENOSPC
    grain: u64 = BASE_ALIGNMENT
    at = _modules_at(image, bank.bytes, ramdisk, tree, grain)
    if at == NOWHERE:
        grain = PAGE_SIZE
        at = _modules_at(image, bank.bytes, ramdisk, tree, grain)
    if at == NOWHERE:
        raise Errno.ENOSPC
    start = bank.start + at
    return Placement(Gaddr(bank.start + image.text_offset), Gaddr(start), Gaddr(start + up(tree, grain)))


def _modules_at(image: Image, bank: u64, ramdisk: u64, tree: u64, grain: u64) -> u64:
    """The offset in the bank of tree and ramdisk; NOWHERE: with this grain there is none."""
    room = up(tree, grain) + up(ramdisk, grain)
    kernel_end = up(image.text_offset + image.size, grain)
    if kernel_end <= MODULES and room <= bank and MODULES <= bank - room:
        return MODULES
    if room <= bank and down(bank - room, grain) >= kernel_end:
        return down(bank - room, grain)
    if room <= image.text_offset:
        return down(image.text_offset - room, grain)
    return NOWHERE


def up(x: u64, grain: u64) -> u64:
    return (x + (grain - 1)) & ~(grain - 1)


def down(x: u64, grain: u64) -> u64:
    return x & ~(grain - 1)
