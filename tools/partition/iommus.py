"""Which streams of which IOMMU a device of the machine has, and whether these confine it.

Sources: Linux Documentation/devicetree/bindings: iommu/iommu.txt, pci/pci-iommu.txt, iommu/arm,smmu-v3.yaml. `iommus`
lists an IOMMU's phandle and as many cells as its `#iommu-cells` says; `iommu-map` of a PCI host bridge has rows of the
first of some requesters, a phandle, the first of their streams, and how many. The hypervisor drives SMMUv3 alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.partition.nodes import Node, Tree

DRIVEN = "arm,smmu-v3"
MAP_CELLS = 4
REQUESTERS = 1 << 16


class Unreadable(ValueError):
    """A property of the machine's tree; the text says which, and where."""


@dataclass(frozen=True)
class Streams:
    iommu: Node
    first: int
    count: int
    requester: int = 0  # the first, of a row of `iommu-map`

    @property
    def driven(self) -> bool:
        return self.iommu.available and self.iommu.is_compatible(DRIVEN)

    def shared_with(self, other: Streams) -> int | None:
        """The first stream that both have."""
        first = max(self.first, other.first)
        inside = first < min(self.first + self.count, other.first + other.count)
        return first if inside and self.iommu is other.iommu else None


def streams_of(tree: Tree, node: Node) -> list[Streams]:
    """Those of IOMMUs that are not driven have no count. Raises Unreadable."""
    return [*_listed(tree, node), *_mapped(tree, node)]


def is_confined(tree: Tree, node: Node) -> bool:
    """Whether all that it does goes through IOMMUs that are driven. Raises Unreadable."""
    streams = streams_of(tree, node)
    if not streams or not all(each.driven for each in streams):
        return False
    return "iommu-map" not in node.properties or _covers(node, list(_mapped(tree, node)))


def _listed(tree: Tree, node: Node) -> Iterator[Streams]:
    cells = _whole(node, "iommus", 1)
    at = 0
    while at < len(cells):
        iommu = tree.phandles.get(cells[at])
        count = iommu.cell("#iommu-cells", -1) if iommu is not None else -1
        if iommu is None or not 0 <= count < len(cells) - at:
            raise Unreadable(f'its "iommus" cannot be read from cell {at} on')
        found = Streams(iommu, cells[at + 1] if count else 0, 1)
        if found.driven and count != 1:
            raise Unreadable(f'its "iommus" cannot be read from cell {at} on')
        yield found
        at += 1 + count


def _mapped(tree: Tree, node: Node) -> Iterator[Streams]:
    cells = _whole(node, "iommu-map", MAP_CELLS)
    for at in range(0, len(cells), MAP_CELLS):
        requester, handle, first, count = cells[at : at + MAP_CELLS]
        iommu = tree.phandles.get(handle)
        if iommu is None or count == 0 or requester + count > REQUESTERS:
            raise Unreadable(f'its "iommu-map" cannot be read from cell {at} on')
        yield Streams(iommu, first, count, requester)


def _whole(node: Node, name: str, cells: int) -> Sequence[int]:
    if name not in node.properties:
        return []
    length = len(node.properties[name])
    if length == 0 or length % (cells * 4):
        raise Unreadable(f'its "{name}" cannot be read from cell {length // (cells * 4) * cells} on')
    return node.cells(name)


def _covers(node: Node, rows: Sequence[Streams]) -> bool:
    """Whether the rows hold each requester that the bus can have: one that they leave out goes through no IOMMU."""
    buses = node.cells("bus-range") or [0, 0xFF]
    if len(buses) < 2:
        return False
    first, last = buses[0] << 8, (buses[1] << 8) + 0xFF
    mask = node.cells("iommu-map-mask")
    if mask:
        first, last = 0, min(last, mask[0])
    for row in sorted(rows, key=lambda row: row.requester):
        if row.requester <= first:
            first = max(first, row.requester + row.count)
    return first > last
