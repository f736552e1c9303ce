"""What of a domain's partial device tree goes into the guest's own: /passthrough with all below it, and /aliases."""

from hv.common.builder.description import Description
from hv.common.builder.device_properties import FORCED, PATH, REG
from hv.common.lib.fdt import BEGIN_NODE, END_NODE, PROPERTY, Fdt, Node
from hv.common.lib.fdt_writer import FdtWriter
from hv.lang import Errno, Final, raises, u32, unbounded

source: Final = Fdt()


def write_devices(tree: FdtWriter, description: Description) -> None:
    """As children of the root."""
    try:
        copy(tree, part_of(description, "/passthrough"))
    except Errno:
        return


def write_aliases(tree: FdtWriter, description: Description) -> None:
    """As properties of /aliases, in which a UART of the domain's own comes first."""
    try:
        for alias in part_of(description, "/aliases").properties():
            if not description.uart or alias.name != "serial0":
                with tree.property(alias.name):
                    tree.put_bytes(alias.bytes)
    except Errno:
        return


@raises
def part_of(description: Description, path: str) -> Node:
    """EINVAL: there is no partial tree. ENOENT: it has no such node."""
    source.init(description.devices.tree.contents)
    return source.find(path)


@unbounded("goes on in the structure block up to the node's end")
def copy(tree: FdtWriter, top: Node) -> None:
    """The node, and all below it, but for the properties that speak to the hypervisor."""
    depth: u32 = 0
    token = top.tree.token(top.offset)
    while True:
        if token.kind == BEGIN_NODE:
            tree.begin_node(f"{Node(top.tree, token.offset).name}")
            depth += 1
        elif token.kind == PROPERTY:
            found = top.tree.property_at(token.offset)
            if found.name not in (PATH, REG, FORCED):
                with tree.property(found.name):
                    tree.put_bytes(found.bytes)
        elif token.kind == END_NODE:
            tree.end_node()
            depth -= 1
            if depth == 0:
                return
        token = top.tree.next_token(token.after)
