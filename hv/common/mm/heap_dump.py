"""Debug key `H`: the heap's free blocks by their order."""

from hv.common.kernel.console import console
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.work import Progress
from hv.common.mm.heap import ORDERS, heap
from hv.lang import bounded, u32


@keys.entry(character="H", help="shows the heap's free blocks", shows=True)
def show_heap(output: Output) -> Progress:
    if output.row == 0:
        console.print(f"heap: {heap.free_frames} frames are free")
    for order in bounded(output.row, ORDERS, ORDERS):
        if heap.blocks[order] != 0:
            console.print(f"  order {order}: {heap.blocks[order]} blocks of {u32(4) << order} KiB")
            output.row = order + 1
            return Progress.MORE
    return Progress.DONE
