"""How many cells addresses and sizes of a property take that is no `reg`, and lists of such."""

from hv.common.lib.fdt import DEFAULT_ADDRESS_CELLS, DEFAULT_SIZE_CELLS, MAX_CELLS, Node, Property
from hv.common.mm.types import Paddr
from hv.lang import Errno, raises, u32, u64, unbounded, value


@value
class Cells:
    """Of a pair of address and size: none, one or two each."""

    address: u32
    size: u32

    @property
    def pair(self) -> u32:
        return self.address + self.size

    def are_whole(self, listed: Property) -> bool:
        """Whether it holds pairs, at least one, and nothing else."""
        return self.pair != 0 and listed.bytes.length != 0 and listed.bytes.length % u64(self.pair * 4) == 0

    @raises
    def start(self, listed: Property, index: u32) -> Paddr:
        """Of the pair. EINVAL: not so many."""
        return Paddr(listed.number(index * self.pair, self.address))

    @raises
    def bytes(self, listed: Property, index: u32) -> u64:
        """Of the pair. EINVAL: not so many."""
        return listed.number(index * self.pair + self.address, self.size)


@raises
def cells_below(node: Node) -> Cells:
    """As Xen counts them: a node that does not say has its parent's. EINVAL: it says so in a malformed way."""
    address = inherited(node, "#address-cells", DEFAULT_ADDRESS_CELLS)
    size = inherited(node, "#size-cells", DEFAULT_SIZE_CELLS)
    if address > MAX_CELLS or size > MAX_CELLS:
        raise Errno.EINVAL
    return Cells(address, size)


@raises
@unbounded("each step goes to the parent")
def inherited(node: Node, name: str, otherwise: u32) -> u32:
    at = node
    while True:
        found = at.property(name)
        if found.found:
            return found.cell()
        if at.is_root():
            return otherwise
        at = at.parent()
