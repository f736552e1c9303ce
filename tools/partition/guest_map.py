"""What a guest on Arm has at which of its physical addresses besides its devices (Xen, public/arch-arm.h: GUEST_*).

A guest that is mapped directly has interrupt controller and UART where the machine has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tools.partition.interrupts import NotOfGic, gic_of, read_interrupts
from tools.partition.machine import PAGE, Machine, Region, console_of
from tools.partition.model import GIB, KIB, MIB, Domain
from tools.partition.nodes import Node

BANKS = (Region(0x4000_0000, 0x1_0000_0000), Region(0x2_0000_0000, 0x2_0000_0000 + 1016 * GIB))
CONTROLLER = "its interrupt controller"
UART = "its UART"


@dataclass(frozen=True)
class Layout:
    """Where a guest's own things are; interrupts by INTID."""

    own: tuple[Region, ...]
    uart: Region
    uart_interrupt: int


USUAL = Layout(
    (
        Region(0x0300_1000, 0x0402_0000, CONTROLLER),
        Region(0x3800_0000, 0x3A00_0000, "Xen's grant table and magic pages"),
    ),
    Region(0x2200_0000, 0x2200_0000 + 4 * KIB, UART),
    32,
)
GICV2_DISTRIBUTOR = 4 * KIB
GICV2_INTERFACE = 8 * KIB
GICV3_DISTRIBUTOR = 64 * KIB
REDISTRIBUTOR = 128 * KIB

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


def layout_of(domain: Domain, machine: Machine | None) -> Layout:
    gic = gic_of(machine.tree) if machine is not None and domain.direct_map else None
    if machine is None or gic is None:
        return USUAL
    places = registers(gic)
    if len(places) < 2:
        return USUAL
    if gic.is_compatible("arm,gic-v3"):
        sizes = GICV3_DISTRIBUTOR, REDISTRIBUTOR * domain.cpus
    else:
        sizes = GICV2_DISTRIBUTOR, GICV2_INTERFACE
    own = (Region(place.start, place.start + size, CONTROLLER) for place, size in zip(places, sizes, strict=False))
    return Layout(tuple(own), *(_console(machine) or (USUAL.uart, USUAL.uart_interrupt)))


def _console(machine: Machine) -> tuple[Region, int] | None:
    """The place of the machine's UART, when it is the beginning of a page, and its interrupt."""
    node = console_of(machine.tree)
    places = [] if node is None else registers(node)
    if node is None or not places or places[0].start % PAGE:
        return None
    try:
        interrupts = read_interrupts(machine.tree, node)
    except NotOfGic:
        return None
    start = places[0].start
    return (Region(start, start + 4 * KIB, UART), interrupts[0].number) if interrupts else None


def registers(node: Node) -> list[Region]:
    """Where the machine has them, as far as a CPU reaches them."""
    found = ((node.physical(start, size), size) for start, size in node.reg())
    return [Region(place, place + size) for place, size in found if place is not None]


def own_of(domain: Domain, machine: Machine | None) -> list[Region]:
    """Its memory and what the hypervisor shows it."""
    layout = layout_of(domain, machine)
    return [*layout.own, *([layout.uart] if domain.vpl011 else []), *memory_of(domain)]


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
