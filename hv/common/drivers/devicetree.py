"""What the machine's device tree says that is the same for every board: console, memory, what is reserved, CPUs.

Source: Devicetree Specification 0.4, chapter 3 (memory, reserved-memory, chosen, cpus).
"""

from hv.common.lib.fdt import Fdt, Node
from hv.common.lib.parse import find
from hv.common.mm.early import early
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, bounded, raises, u32

MAX_REG: Final = 64  # entries of a memory node's `reg`

tree: Final = Fdt()


@raises
def console_node() -> Node:
    """The UART that /chosen names in `stdout-path`, as a path or an alias, with options behind a colon. ENOENT: none.
    EINVAL: malformed."""
    path = tree.find("/chosen").property("stdout-path")
    if not path.found:
        raise Errno.ENOENT
    whole = path.string()
    name = whole[: find(whole, ord(":"))]
    if name.startswith("/"):
        return tree.find(name)
    return tree.find(tree.find("/aliases").property(name).string())


@raises
def boot_arguments() -> str:
    """The hypervisor's command line: `xen,xen-bootargs` of /chosen; `bootargs` when no other property there speaks of
    Xen. Empty without."""
    chosen = tree.find("/chosen")
    own = chosen.property("xen,xen-bootargs")
    if own.found:
        return own.string()
    if chosen.has("xen,dom0-bootargs") or not chosen.has("bootargs"):
        return ""
    return chosen.property("bootargs").string()


@raises
def add_memory() -> None:
    """Tells the early allocator where RAM is. EINVAL: a memory node is malformed. ENOSPC: too many ranges."""
    for node in tree.nodes():
        if is_memory(node) and node.enabled:
            for i in bounded(node.reg_count(), MAX_REG):
                region = node.reg(i)
                early.add_ram(Paddr(region.start), Paddr(region.start + region.size))


@raises
def reserve_memory() -> None:
    """Tells it what in RAM is taken: /memreserve/ and /reserved-memory. EINVAL: malformed. ENOSPC: too many ranges."""
    for entry in tree.reservations():
        early.reserve(Paddr(entry.start), Paddr(entry.start + entry.size))
    try:
        parent = tree.find("/reserved-memory")
    except Errno:
        return
    for node in parent.children():
        for i in bounded(node.reg_count(), MAX_REG):
            region = node.reg(i)
            early.reserve(Paddr(region.start), Paddr(region.start + region.size))
            if node.has("no-map"):
                early.ram.remove(Paddr(region.start), Paddr(region.start + region.size))


def is_memory(node: Node) -> bool:
    return node.property("device_type").lists("memory")


def is_cpu(node: Node) -> bool:
    return node.property("device_type").lists("cpu")


def machine_cpus() -> u32:
    """How many the tree describes."""
    total: u32 = 0
    try:
        for node in tree.find("/cpus").children():
            if is_cpu(node) and node.enabled:
                total += 1
    except Errno:
        return 1
    return total
