"""What a guest's device tree says of shared memory: /reserved-memory, as Xen's guests find it.

Source: Linux, Documentation/devicetree/bindings/reserved-memory/xen,shared-memory.txt. The memory node has it as well
(guest_tree.py), so that a kernel may map it as memory.
"""

from hv.common.builder.description import Description
from hv.common.builder.guest_tree import guest_nodes
from hv.common.builder.shares import shared_regions
from hv.common.lib.fdt_writer import FdtWriter


@guest_nodes.entry()
def write_shares(tree: FdtWriter, description: Description) -> None:
    if description.shares.count == 0:
        return
    with tree.node("reserved-memory"):
        tree.cell("#address-cells", 2)
        tree.cell("#size-cells", 2)
        tree.empty("ranges")
        for share in description.shares:
            with tree.node(f"xen-shmem@{share.start:x}"):
                tree.text("compatible", "xen,shared-memory-v1")
                with tree.property("reg"):
                    tree.put_wide(share.start)
                    tree.put_wide(share.bytes)
                tree.text("xen,id", f"{shared_regions.table[share.region].id}")
                if not share.owner:
                    tree.wide("xen,offset", 0)
