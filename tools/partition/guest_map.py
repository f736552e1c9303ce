"""What a guest on Arm has at which of its physical addresses besides its devices (Xen, public/arch-arm.h: GUEST_*)."""

from __future__ import annotations

from collections.abc import Iterator

from tools.partition.machine import Region
from tools.partition.model import GIB, KIB, MIB, Domain

BANKS = (Region(0x4000_0000, 0x1_0000_0000), Region(0x2_0000_0000, 0x2_0000_0000 + 1016 * GIB))
OWN = (
    Region(0x0300_1000, 0x0402_0000, "its interrupt controller"),
    Region(0x3800_0000, 0x3A00_0000, "Xen's grant table and magic pages"),
)
UART = Region(0x2200_0000, 0x2200_0000 + 4 * KIB, "its UART")
UART_INTERRUPT = 32  # INTID

END = 1 << 40  # of what every hypervisor with 3-level tables can map
LOWEST = 0x0800_0000  # nothing of ours is placed below
FINEST = 2 * MIB


def memory_of(domain: Domain) -> list[Region]:
    """Where the domain finds its memory: where it lies in the machine, or in the banks, of which the first is filled
    first."""
    if domain.direct_map:
        return [Region(part.start, part.end, "its memory") for part in domain.static_memory]
    left, regions = domain.memory * KIB, []
    for bank in BANKS:
        size = min(left, bank.size)
        if size:
            regions.append(Region(bank.start, bank.start + size, "its memory"))
        left -= size
    return regions


def own_of(domain: Domain) -> list[Region]:
    """Its memory and what the hypervisor shows it."""
    return [*OWN, *([UART] if domain.vpl011 else []), *memory_of(domain)]


def free_place(taken: list[Region], size: int, offset: int = 0) -> int | None:
    """The lowest address for so many bytes that nothing else has, so far from a boundary of 4 KiB, else of 2 MiB."""
    step = max(FINEST, 1 << (size - 1).bit_length()) if size >= FINEST else FINEST
    for start in sorted([LOWEST, *(region.end for region in taken)]):
        place = -(-max(start, LOWEST) // step) * step + offset
        if place + size <= END and not any(region.overlaps(place, size) for region in taken):
            return place
    return None


def wanted(regions: list[Region], start: int, size: int) -> Iterator[Region]:
    """Those that a range of addresses overlaps."""
    return (region for region in regions if region.overlaps(start, size))
