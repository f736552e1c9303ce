"""Which properties of a device's node refer to other nodes, and what becomes of them in a guest.

Sources: Devicetree Specification 0.4, 2.4; Linux Documentation/devicetree/bindings. A reference stays when the domain
has the node that it names. Otherwise the properties of OPTIONAL go, since a device works without them once firmware has
set it up, or since the guest must not have them; any other is a mistake, which `drop` in the partition file settles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.partition.nodes import Node, Tree

SPECIFIERS = {
    "clocks": "#clock-cells",
    "assigned-clocks": "#clock-cells",
    "assigned-clock-parents": "#clock-cells",
    "resets": "#reset-cells",
    "power-domains": "#power-domain-cells",
    "dmas": "#dma-cells",
    "iommus": "#iommu-cells",
    "interconnects": "#interconnect-cells",
    "phys": "#phy-cells",
    "mboxes": "#mbox-cells",
    "pwms": "#pwm-cells",
    "io-channels": "#io-channel-cells",
    "sound-dai": "#sound-dai-cells",
    "thermal-sensors": "#thermal-sensor-cells",
    "nvmem-cells": "#nvmem-cell-cells",
    "hwlocks": "#hwlock-cells",
    "msi-parent": "#msi-cells",
    "phy-handle": "",
    "memory-region": "",
    "operating-points-v2": "",
    "next-level-cache": "",
    "syscon": "",
    "mdio-handle": "",
    "pcs-handle": "",
}
"""Property -> how the node that is referred to says how many cells follow; none: no cells follow."""

PATTERNS = ((r"(.+-)?gpios?", "#gpio-cells"), (r".+-supply", ""), (r"pinctrl-\d+", ""))

OPTIONAL = {
    "assigned-clocks",
    "assigned-clock-parents",
    "resets",
    "power-domains",
    "dmas",
    "iommus",
    "interconnects",
    "msi-parent",
    "operating-points-v2",
    "next-level-cache",
}
COMPANIONS = {
    "clocks": ("clock-names",),
    "assigned-clocks": ("assigned-clock-rates", "assigned-clock-parents"),
    "resets": ("reset-names",),
    "power-domains": ("power-domain-names",),
    "dmas": ("dma-names",),
    "interconnects": ("interconnect-names",),
    "phys": ("phy-names",),
    "mboxes": ("mbox-names",),
    "nvmem-cells": ("nvmem-cell-names",),
}
"""Properties that mean nothing without another."""
NEVER = {"msi-map", "msi-map-mask", "iommu-map", "iommu-map-mask", "xen,passthrough", "linux,phandle", "status"}
"""What a guest's node never has: translations of bus addresses that the hypervisor answers for, and how the machine's
tree marks the node."""


def specifier_of(name: str) -> str | None:
    """The property with the number of cells behind each phandle of `name`; None when it holds no phandles."""
    if name in SPECIFIERS:
        return SPECIFIERS[name]
    for pattern, cells in PATTERNS:
        if re.fullmatch(pattern, name):
            return cells
    return None


def is_optional(name: str) -> bool:
    return name in OPTIONAL or name.startswith("pinctrl-")


def companions(name: str, left: Iterator[str]) -> Iterator[str]:
    """What goes with a property that goes, given the names of those that stay."""
    yield from COMPANIONS.get(name, ())
    if name.startswith("pinctrl-") and not any(re.fullmatch(r"pinctrl-\d+", other) for other in left):
        yield "pinctrl-names"


def references(tree: Tree, node: Node, name: str) -> Iterator[tuple[int, Node | None, list[int]]]:
    """The phandles in a property, the nodes that they name, None when there is none, and the cells behind them."""
    width = specifier_of(name)
    cells = node.cells(name)
    at = 0
    while at < len(cells):
        target = tree.phandles.get(cells[at])
        count = target.cell(width) if target is not None and width else 0
        if cells[at] or name == "clocks":
            yield cells[at], target, cells[at + 1 : at + 1 + count]
        at += 1 + min(count, len(cells))
