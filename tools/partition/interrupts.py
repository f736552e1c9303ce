"""A device's interrupts, as far as they go to the machine's GIC.

Sources: Devicetree Specification 0.4, 2.4; Linux Documentation/devicetree/bindings/interrupt-controller/arm,gic.yaml
and arm,gic-v3.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.partition.nodes import Node, Tree

GIC = (
    "arm,gic-400",
    "arm,gic-v3",
    "arm,cortex-a15-gic",
    "arm,cortex-a9-gic",
    "arm,cortex-a7-gic",
    "arm,eb11mp-gic",
    "arm,pl390",
)
SHARED = 0  # the first cell: the kind
FIRST_SPI = 32
FLAGS = 0xF


@dataclass(frozen=True)
class Interrupt:
    """A shared peripheral interrupt: INTID, and how it is triggered (the third cell)."""

    number: int
    flags: int

    @property
    def cells(self) -> tuple[int, int, int]:
        return SHARED, self.number - FIRST_SPI, self.flags & FLAGS


class NotOfGic(ValueError):
    """An interrupt that no guest can have; the text says why. `controller` is where it goes, when that is known."""

    def __init__(self, why: str, controller: Node | None = None) -> None:
        super().__init__(why)
        self.controller = controller


def gic_of(tree: Tree) -> Node | None:
    return next((node for node in tree.root.walk() if node.is_compatible(*GIC)), None)


def controller_of(tree: Tree, node: Node) -> Node | None:
    """The node's interrupt parent: its own or that of the nearest node above that has one."""
    for each in (node, *node.above()):
        if each.cells("interrupt-parent"):
            return tree.phandles.get(each.cell("interrupt-parent"))
        if each is not node and "interrupt-controller" in each.properties:
            return each
    return None


def read_interrupts(tree: Tree, node: Node) -> list[Interrupt]:
    """What `interrupts` or `interrupts-extended` has. NotOfGic: one of them is none that the GIC shares."""
    if "interrupts-extended" in node.properties:
        cells, found = node.cells("interrupts-extended"), []
        while cells:
            controller = tree.phandles.get(cells[0])
            width = _width(controller)
            found.append(_shared(controller, cells[1 : 1 + width]))
            cells = cells[1 + width :]
        return found
    if "interrupts" not in node.properties:
        return []
    controller = controller_of(tree, node)
    width = _width(controller)
    cells = node.cells("interrupts")
    return [_shared(controller, cells[at : at + width]) for at in range(0, len(cells), width)]


def mapped_interrupts(tree: Tree, node: Node) -> tuple[list[tuple[tuple[int, ...], Interrupt]], list[int]]:
    """The rows of a bus's `interrupt-map`, each the cells of the child and its interrupt, and the mask. NotOfGic as
    above.
    """
    cells, rows = node.cells("interrupt-map"), []
    own = node.address_cells + (node.cell("#interrupt-cells") or 1)
    while cells:
        controller = tree.phandles.get(cells[own]) if len(cells) > own else None
        width = _width(controller)
        skipped = own + 1 + (controller.cell("#address-cells", 0) if controller is not None else 0)
        rows.append((tuple(cells[:own]), _shared(controller, cells[skipped : skipped + width])))
        cells = cells[skipped + width :]
    return rows, node.cells("interrupt-map-mask")


def _width(controller: Node | None) -> int:
    if controller is None:
        raise NotOfGic("its interrupts go to a node that the tree does not have")
    if not controller.is_compatible(*GIC):
        raise NotOfGic(f"its interrupts go to {controller.path}", controller)
    return max(controller.cell("#interrupt-cells"), 3)


def _shared(controller: Node | None, cells: list[int]) -> Interrupt:
    if len(cells) < 3:
        raise NotOfGic("its interrupts are malformed")
    if cells[0] != SHARED:
        raise NotOfGic("one of its interrupts is a CPU's own")
    if not 0 <= cells[1] < 988:
        raise NotOfGic(f"no GIC has a shared interrupt {cells[1]}")
    return Interrupt(FIRST_SPI + cells[1], cells[2])
