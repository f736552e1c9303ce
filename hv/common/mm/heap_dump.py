"""Debug key `H`: the heap's free blocks by NUMA node and order."""

from hv.common.kernel.console import console
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.work import Progress
from hv.common.mm.heap import ORDERS, heap
from hv.common.mm.nodes import MAX_NODES, nodes
from hv.lang import Final, bounded, u32

LISTS: Final = MAX_NODES * ORDERS


@keys.entry(character="H", help="shows the heap's free blocks", shows=True)
def show_heap(output: Output) -> Progress:
    if output.row == 0:
        console.print(f"heap: {heap.free_frames} frames are free")
    for row in bounded(output.row, heap.zone_count * ORDERS, LISTS):
        node = row // ORDERS
        order = row % ORDERS
        blocks = heap.zones[node].blocks[order]
        if blocks != 0:
            if nodes.count == 1:
                console.print(f"  order {order}: {blocks} blocks of {u32(4) << order} KiB")
            else:
                console.print(f"  node {node}, order {order}: {blocks} blocks of {u32(4) << order} KiB")
            output.row = row + 1
            return Progress.MORE
    return Progress.DONE
