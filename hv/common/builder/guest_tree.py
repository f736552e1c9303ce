"""The device tree that a guest finds: its memory, its command line and ramdisk, and what the architecture adds.

Modules that give a guest something to find (CPUs, interrupt controller, timer, UART) register a function that writes
its node. Source for /chosen and /memory: Devicetree Specification 0.4, chapter 3; `linux,initrd-*`: Linux,
Documentation/devicetree/bindings/chosen.txt.
"""

from hv.common.builder.description import Description
from hv.common.builder.device_nodes import write_aliases, write_devices
from hv.common.builder.loader import Placement
from hv.common.lib.fdt_writer import FdtWriter
from hv.lang import Callable, Final, Registry, raises, u64, value

FIXED_BYTES: Final[u64] = 4096  # of a tree, but for what follows
BYTES_PER_VCPU: Final[u64] = 192
BYTES_PER_SHARE: Final[u64] = 256


@value
class GuestNode:
    write: Callable[[FdtWriter, Description], None]


guest_nodes: Final = Registry[GuestNode]()
guest_aliases: Final = Registry[GuestNode]()  # these write properties of /aliases


def tree_room(description: Description) -> u64:
    """Bytes that are enough for the domain's tree."""
    return FIXED_BYTES + _bytes_said(description)


def _bytes_said(description: Description) -> u64:
    """For what is as long as the description makes it."""
    own = u64(description.vcpus) * BYTES_PER_VCPU + u64(description.shares.count) * BYTES_PER_SHARE
    return own + 2 * len(description.bootargs) + 2 * description.devices.tree_room


@raises
def write_tree(tree: FdtWriter, description: Description, placement: Placement) -> u64:
    """Into a writer that has its buffer. Returns the size in bytes. ENOSPC: the buffer is too small."""
    with tree.node(""):
        tree.cell("#address-cells", 2)
        tree.cell("#size-cells", 2)
        tree.cell("interrupt-parent", description.devices.controller)
        with tree.property("compatible"):
            tree.put_text("constrictor,guest")
            tree.put_text("xen,xenvm-4.17")
            tree.put_text("xen,xenvm")
        tree.text("model", "Constrictor guest")
        _write_chosen(tree, description, placement)
        _write_memory(tree, description)
        for node in guest_nodes:
            node.write(tree, description)
        if description.uart or description.devices.tree.bytes != 0:
            _write_aliases(tree, description)
        write_devices(tree, description)
    return tree.finish()


def _write_aliases(tree: FdtWriter, description: Description) -> None:
    with tree.node("aliases"):
        for alias in guest_aliases:
            alias.write(tree, description)
        write_aliases(tree, description)


def _write_chosen(tree: FdtWriter, description: Description, placement: Placement) -> None:
    with tree.node("chosen"):
        if len(description.bootargs) != 0:
            tree.text("bootargs", description.bootargs)
        if description.uart:
            tree.text("stdout-path", "serial0")
        if description.ramdisk.bytes != 0:
            tree.wide("linux,initrd-start", placement.ramdisk)
            tree.wide("linux,initrd-end", placement.ramdisk + description.ramdisk.bytes)


def _write_memory(tree: FdtWriter, description: Description) -> None:
    with tree.node(f"memory@{description.bank(0).start:x}"):
        tree.text("device_type", "memory")
        with tree.property("reg"):
            for bank in description.banks():
                tree.put_wide(bank.start)
                tree.put_wide(bank.bytes)
            for share in description.shares:
                tree.put_wide(share.start)
                tree.put_wide(share.bytes)
