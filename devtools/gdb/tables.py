"""Translation tables, walked in physical memory by what the architecture says: Arm DDI 0487 (VMSAv8-64, 4 KiB granule),
Intel SDM 3A, 4.5.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

ADDRESS = 0x0000_FFFF_FFFF_F000
X86_ADDRESS = 0x000F_FFFF_FFFF_F000
INDEX_BITS = 9
PAGE_SHIFT = 12


@dataclass(frozen=True)
class Step:
    """One entry on the way; `result` is the address that a leaf gives, None when the walk goes on or ends at a hole."""

    height: int
    slot: int
    entry: int
    result: int | None
    shown: str


@dataclass(frozen=True)
class Format:
    """The root is a table of `height`, or several in a row when `bits` needs more entries."""

    height: int
    bits: int
    mask: int
    present: Callable[[int], bool]
    leaf: Callable[[int, int], bool]
    shown: Callable[[int], str]


def walk(form: Format, root: int, address: int, read: Callable[[int], int]) -> Iterator[Step]:
    """The entries for an address, from the root down. `read` gives the 64 bits at a physical address."""
    table, height = root & form.mask, form.height
    address &= (1 << form.bits) - 1
    while True:
        shift = PAGE_SHIFT + INDEX_BITS * height
        index = address >> shift if height == form.height else address >> shift & (1 << INDEX_BITS) - 1
        slot = table + 8 * index
        entry = read(slot)
        if not form.present(entry):
            yield Step(height, slot, entry, None, "nothing")
            return
        if form.leaf(entry, height):
            inside = (1 << shift) - 1
            yield Step(height, slot, entry, (entry & form.mask & ~inside) | address & inside, form.shown(entry))
            return
        yield Step(height, slot, entry, None, "table")
        table, height = entry & form.mask, height - 1


def arm_leaf(entry: int, height: int) -> bool:
    """At the lowest level bit 1 is set in pages, above it in tables."""
    return height == 0 or entry & 2 == 0


def arm_stage1_shown(entry: int) -> str:
    rights = f"r{'-' if entry >> 7 & 1 else 'w'}{'-' if entry >> 54 & 1 else 'x'}"
    return f"{rights} memory index {entry >> 2 & 7}, shareability {entry >> 8 & 3}"


def arm_stage2_shown(entry: int) -> str:
    rights = f"{'r' if entry >> 6 & 1 else '-'}{'w' if entry >> 7 & 1 else '-'}{'-' if entry >> 54 & 1 else 'x'}"
    return f"{rights} memory {entry >> 2 & 15:#x}, software {entry >> 55 & 15}"


def x86_shown(entry: int) -> str:
    return f"r{'w' if entry >> 1 & 1 else '-'}{'-' if entry >> 63 else 'x'}{' user' if entry >> 2 & 1 else ''}"


ARM_STAGE1 = Format(3, 48, ADDRESS, lambda e: bool(e & 1), arm_leaf, arm_stage1_shown)
ARM_STAGE2 = Format(2, 40, ADDRESS, lambda e: bool(e & 1), arm_leaf, arm_stage2_shown)
X86 = Format(3, 48, X86_ADDRESS, lambda e: bool(e & 1), lambda e, height: height == 0 or bool(e >> 7 & 1), x86_shown)
