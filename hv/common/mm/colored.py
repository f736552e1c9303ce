"""Frames of certain colours out of the heap: each from the smallest free block that has one. They go back as all
others do, and merge.
"""

from hv.arch import direct_address, zero_bytes
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.mm.coloring import coloring
from hv.common.mm.colors import MAX_COLOR_BITS, MAX_COLORS, ColorLists, ColorSet
from hv.common.mm.frames import NO_FRAME
from hv.common.mm.heap import ORDERS, Heap, Zone, heap
from hv.common.mm.nodes import MAX_NODES
from hv.common.mm.types import Mfn, Paddr
from hv.lang import Errno, bounded, ptr, raises, size_of, trailing_zeros, u32, u64


def bytes_for_lists(nodes: u32) -> u64:
    """What the lists of so many NUMA nodes take."""
    return u64(nodes) * size_of(ColorLists)


def begin_lists(nodes: u32, storage: Paddr) -> None:
    """The heap's lists by colours lie at `storage`. Before it has any memory."""
    zero_bytes(direct_address(storage), bytes_for_lists(nodes))
    for node in bounded(nodes, MAX_NODES):
        heap.zones[node].colors = ptr[ColorLists](direct_address(storage) + bytes_for_lists(node)).ref()


@raises
def allocate_colored(colors: ColorSet, first: u32, node: u32) -> Mfn:
    """A frame of one of the colours, of which those from `first` on go before the others, from the node, or else from
    another. Its contents are undefined. ENOMEM: there is none."""
    with heap.lock as held:
        for near in heap.nodes_from(node):
            zone = heap.zones[near]
            for i in bounded(coloring.in_use, MAX_COLORS):
                color = first + i & coloring.in_use - 1
                if color in colors:
                    order = smallest_with(held, zone, color)
                    if order != ORDERS:
                        return _take(held, heap, zone, order, color)
    raise Errno.ENOMEM


def smallest_with(held: Held[Rank.HEAP], zone: Zone, color: u32) -> u32:
    """The order of the smallest block that has a frame of the colour; ORDERS: none has."""
    at = coloring.in_use + color
    for order in bounded(coloring.bits, MAX_COLOR_BITS):
        if zone.colors.first[at] != NO_FRAME:
            return order
        at //= 2
    whole = zone.stocked >> coloring.bits << coloring.bits
    return ORDERS if whole == 0 else trailing_zeros(whole)


def _take(held: Held[Rank.HEAP], heap: Heap, zone: Zone, order: u32, color: u32) -> Mfn:
    """The frame of this colour of some free block of this order that has one."""
    if order >= coloring.bits:
        return heap.split(held, zone, zone.first[order], order, 0, color)
    index = zone.colors.first[coloring.in_use + color >> order]
    return heap.split(held, zone, index, order, 0, color & (u32(1) << order) - 1)
