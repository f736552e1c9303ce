"""NUMA nodes as the device tree has them: `numa-node-id` of memory and CPUs.

Source: Linux, Documentation/devicetree/bindings/numa.txt.
"""

from hv.common.drivers.devicetree import MAX_REG, is_memory, tree
from hv.common.kernel.log import warning
from hv.common.lib.fdt import Node
from hv.common.mm.nodes import nodes
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, bounded, raises, u32

ID: Final = "numa-node-id"


def read_nodes() -> None:
    """Before the heap is started."""
    if nodes.off:
        return
    try:
        _take_memory()
    except Errno as e:
        warning(f"the device tree's NUMA nodes cannot be true: {e.name}; the machine counts as one node")
        nodes.forget()


@raises
def _take_memory() -> None:
    """EEXIST: two nodes have the same memory. ENOSPC: too many nodes, or too scattered. EINVAL: malformed."""
    for node in tree.nodes():
        if is_memory(node) and node.enabled and node.has(ID):
            for i in bounded(node.reg_count(), MAX_REG):
                region = node.reg(i)
                if region.size != 0:
                    domain = node.property(ID).cell()
                    nodes.add_memory(Paddr(region.start), Paddr(region.start + region.size), domain)


def node_of_cpu(node: Node) -> u32:
    """0 when the tree does not say."""
    try:
        return nodes.number_of(node.property(ID).cell())
    except Errno:
        return 0
