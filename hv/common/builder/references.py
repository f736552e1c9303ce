"""References between the nodes of a partial tree: each leads to a node that goes into the guest's tree.

A phandle is told from a number by the name of its property; those of the bindings that devices have most often are
known. Source: Devicetree Specification 0.4, 2.3.3, 2.4, 2.5; Linux Documentation/devicetree/bindings (clocks, dma,
gpio, iommu, mailbox, phy, pinctrl, power, reset, regulator, net).
"""

from hv.common.builder.mistake import Mistake
from hv.common.drivers.devicetree import tree as machine_tree
from hv.common.lib.fdt import Fdt, Node, Property
from hv.lang import Errno, Final, array, bounded, raises, u32, unbounded, value

MAX_CELLS: Final = 1 << 14  # of a property of a partial tree


@value
class Kind:
    """A property that holds phandles, and which property of a target says how many cells follow; empty: none do."""

    name: str
    cells: str


KINDS: Final[array[Kind, 21]] = array(
    Kind("assigned-clock-parents", "#clock-cells"),
    Kind("assigned-clocks", "#clock-cells"),
    Kind("clocks", "#clock-cells"),
    Kind("dmas", "#dma-cells"),
    Kind("gpios", "#gpio-cells"),
    Kind("interconnects", "#interconnect-cells"),
    Kind("interrupt-parent", ""),
    Kind("interrupts-extended", "#interrupt-cells"),
    Kind("iommus", "#iommu-cells"),
    Kind("mboxes", "#mbox-cells"),
    Kind("memory-region", ""),
    Kind("msi-parent", "#msi-cells"),
    Kind("nvmem-cells", ""),
    Kind("phy-handle", ""),
    Kind("phys", "#phy-cells"),
    Kind("pinctrl-0", ""),
    Kind("pinctrl-1", ""),
    Kind("power-domains", "#power-domain-cells"),
    Kind("pwms", "#pwm-cells"),
    Kind("resets", "#reset-cells"),
    Kind("syscon", ""),
)
CONTROLLER_CELLS: Final[u32] = 3


@raises
def check_references(mistake: Mistake, top: Node, node: Node, controller: u32) -> None:
    """Of one node below `top` or that itself. EINVAL: one leads nowhere; the mistake tells."""
    for listed in node.properties():
        for kind in KINDS:
            if listed.name == kind.name:
                _check(mistake, top, node, listed, kind.cells, controller)


@raises
def _check(mistake: Mistake, top: Node, node: Node, listed: Property, cells: str, controller: u32) -> None:
    at: u32 = 0
    for _ in bounded(listed.count, MAX_CELLS):
        if at >= listed.count:
            return
        handle = listed.cell(at)
        at += 1
        if handle == 0:
            continue  # one of a list that is left out
        if handle == controller:
            at += CONTROLLER_CELLS if cells != "" else 0
            continue
        try:
            target = find_below(top, handle)
            counted = target.property(cells)
            at += counted.cell() if cells != "" and counted.found else 0
        except Errno:
            mistake.wrong(
                node.name,
                listed.name,
                f"refers to phandle {handle:#x}, which no node has that goes to the guest: "
                "put it below /passthrough, or leave the property out",
            )
            raise Errno.EINVAL from None


@raises
def find_below(top: Node, handle: u32) -> Node:
    """ENOENT: no node of this subtree has the phandle."""
    for node in top.descendants():
        phandle = node.property("phandle")
        if phandle.bytes.length == 4 and phandle.bytes.be32(0) == handle:
            return node
    raise Errno.ENOENT


def greatest_phandle(tree: Fdt) -> u32:
    """0: nothing has one."""
    greatest: u32 = 0
    for node in tree.nodes():
        phandle = node.property("phandle")
        if phandle.bytes.length == 4:
            greatest = max(greatest, phandle.bytes.be32(0))
    return greatest


@raises
@unbounded("each step goes to the parent")
def parent_controller(device: Node) -> Node:
    """The node in the machine's tree that a device's `interrupts` go to. ENOENT: none is named."""
    at = device
    while True:
        named = at.property("interrupt-parent")
        if named.found:
            return machine_tree.by_phandle(named.cell())
        if at.is_root():
            raise Errno.ENOENT
        at = at.parent()
