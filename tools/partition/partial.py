"""The partial device tree of a domain's devices, as Xen's docs/misc/arm/passthrough.txt describes it.

Below /passthrough stand the devices' nodes, copied from the machine's tree with their children, and the fixed clocks
that they need. `xen,path` says which device of the machine a node is, `xen,reg` where the guest finds its pages: rows
of the machine's address, size, and the guest's address. /gic stands for the interrupt controller that the guest will
have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tools.partition.devices import Assigned, Part
from tools.partition.interrupts import Interrupt, controller_of, gic_of, mapped_interrupts, read_interrupts
from tools.partition.machine import PAGE, Machine, page_region
from tools.partition.mistakes import Mistakes
from tools.partition.nodes import Node
from tools.partition.phandles import NEVER, companions, is_optional, references, specifier_of
from tools.partition.tree import Node as Written
from tools.partition.tree import flat, strings, u32, u64

INTERRUPTS = {"interrupts", "interrupts-extended", "interrupt-parent", "interrupt-map", "interrupt-map-mask"}


def partial_tree(machine: Machine, devices: Sequence[Assigned], mistakes: Mistakes) -> bytes:
    """For the devices of one domain, all placed. References that lead nowhere are noted as mistakes."""
    return _Writer(machine, devices, mistakes).write()


class _Writer:
    def __init__(self, machine: Machine, devices: Sequence[Assigned], mistakes: Mistakes) -> None:
        self.tree = machine.tree
        self.devices = devices
        self.mistakes = mistakes
        self.clocks: dict[str, Written] = {}
        self.free = max(self.tree.phandles, default=0)  # phandles above are unused
        gic = gic_of(self.tree)
        self.gic = self._phandle(gic)

    def write(self) -> bytes:
        nodes = [self._device(each) for each in self.devices]
        cells = {"#address-cells": u32(2), "#size-cells": u32(2)}
        bus = {"compatible": strings("simple-bus"), "ranges": b"", **cells}
        gic = {
            "#address-cells": u32(0),
            "#interrupt-cells": u32(3),
            "interrupt-controller": b"",
            "phandle": u32(self.gic),
        }
        passed = Written("passthrough", bus, [*self.clocks.values(), *nodes])
        return flat(Written("", cells, [Written("gic", gic), passed]))

    def _phandle(self, node: Node | None) -> int:
        """The machine's, or one that is unused."""
        if node is not None and node.phandle is not None:
            return node.phandle
        self.free += 1
        return self.free

    def _device(self, each: Assigned) -> Written:
        parts = {id(part.node): part for part in each.parts}
        return self._copy(each, each.node, parts)

    def _copy(self, each: Assigned, node: Node, parts: Mapping[int, Part]) -> Written:
        part = parts.get(id(node))
        properties = dict(self._kept(each, node, part))
        if part is not None and part.regions:
            properties |= self._placed(each, part)
        name = node.name
        if part is not None and part.places and part.places[0] is not None and node is each.node:
            name = f"{name.split('@')[0]}@{part.places[0]:x}"
        return Written(name, properties, [self._copy(each, child, parts) for child in node.children])

    def _kept(self, each: Assigned, node: Node, part: Part | None) -> Mapping[str, bytes]:
        """What a guest's node has of the machine's."""
        dropped = {*NEVER, *each.device.drop}
        rewritten = self._rewritten(node, part)
        kept = {name: value for name, value in node.properties.items() if name not in dropped and name not in rewritten}
        if "phandle" not in kept and node.phandle is not None:
            kept["phandle"] = u32(node.phandle)
        for name in [name for name in kept if specifier_of(name) is not None]:
            if name not in kept or all(self._has(target) for _, target, _ in references(self.tree, node, name)):
                continue
            clocks = self._clocks(each, node) if name == "clocks" else None
            if clocks:
                kept[name] = clocks
                continue
            if name != "clocks" and not is_optional(name):
                self._dangles(each, node, name)
            del kept[name]
            for other in list(companions(name, iter(list(kept)))):
                kept.pop(other, None)
        return kept

    def _rewritten(self, node: Node, part: Part | None) -> set[str]:
        """Which of the node's properties the machine's values are not good for."""
        names = set()
        if part is not None and part.regions:
            names.add("reg")
        if part is not None and part.windows:
            names |= {"ranges", "dma-ranges"}
        within = part.within if part is not None else self._has(controller_of(self.tree, node))
        return names if within else names | INTERRUPTS

    def _has(self, target: Node | None) -> bool:
        return target is not None and any(each.node.holds(target) for each in self.devices)

    def _dangles(self, each: Assigned, node: Node, name: str) -> None:
        missing = [target for _, target, _ in references(self.tree, node, name) if not self._has(target)]
        where = missing[0].path if missing and missing[0] is not None else "a node that the tree does not have"
        what = f'{node.path}: "{name}" refers to {where}, which domain "{each.domain.name}" does not have'
        give = "give it that device as well, or " if missing and missing[0] is not None else ""
        self.mistakes.add(each.device.line("path"), what, f'{give}write drop = ["{name}"] in the device')

    def _clocks(self, each: Assigned, node: Node) -> bytes | None:
        """Fixed clocks in place of the machine's. None: the node is to have none."""
        wanted = each.device.clock_frequency
        if wanted == 0:
            return None
        phandles = []
        for _, target, _ in references(self.tree, node, "clocks"):
            frequency = wanted
            if target is not None and target.is_compatible("fixed-clock") and target.cell("clock-frequency"):
                frequency = target.cell("clock-frequency")
            if frequency is None:
                clock = "a node that the tree does not have" if target is None else target.path
                what = f"{node.path} has a clock of {clock}, which stays with the hypervisor"
                instead = "write clock_frequency = 100000000 (its rate in Hz, as firmware sets it), or 0 for no clocks"
                self.mistakes.add(each.device.line("clock_frequency"), what, instead)
                return None
            phandles.append(self._fixed(frequency))
        return b"".join(map(u32, phandles))

    def _fixed(self, frequency: int) -> int:
        name = f"clock-{frequency}"
        if name not in self.clocks:
            self.free += 1
            properties = {
                "compatible": strings("fixed-clock"),
                "#clock-cells": u32(0),
                "clock-frequency": u32(frequency),
                "phandle": u32(self.free),
            }
            self.clocks[name] = Written(name, properties)
        return int.from_bytes(self.clocks[name].properties["phandle"])

    def _placed(self, each: Assigned, part: Part) -> Mapping[str, bytes]:
        """Registers, windows and interrupts as the guest finds them, and what the hypervisor wants to know."""
        own = len(part.regions) - part.windows
        pairs = list(zip(part.regions, part.places, strict=True))
        properties = {}
        reg = [u64(place) + u64(region.size) for region, place in pairs[:own] if place is not None]
        if reg:
            properties["reg"] = b"".join(reg)
        if part.windows:
            properties["ranges"] = self._ranges(part)
            properties |= self._map(part) if part.interrupts else {}
        interrupts = self._own_interrupts(part)
        if interrupts:
            properties["interrupt-parent"] = u32(self.gic)
            properties["interrupts"] = b"".join(u32(cell) for each in interrupts for cell in each.cells)
        properties["xen,path"] = strings(part.node.path)
        rows = []
        for region, place in pairs:
            if place is not None:
                page = page_region(region)
                rows.append(u64(page.start) + u64(page.size) + u64(place // PAGE * PAGE))
        properties["xen,reg"] = b"".join(rows)
        if each.device.force_assign_without_iommu:
            properties["xen,force-assign-without-iommu"] = b""
        return properties

    def _own_interrupts(self, part: Part) -> list[Interrupt]:
        """Those that the node itself raises, and not a device on its bus."""
        if not part.windows:
            return part.interrupts
        own = read_interrupts(self.tree, part.node)
        return [each for each in part.interrupts if each in own]

    def _ranges(self, part: Part) -> bytes:
        """A PCI bus's windows: what the bus calls an address stays, where the CPU finds it is the guest's."""
        node = part.node
        assert node.parent is not None, "a root on a bus"
        before, after = node.address_cells, node.parent.address_cells
        width = before + after + node.size_cells
        cells, rows = node.cells("ranges"), []
        for index, place in enumerate(part.places[-part.windows :]):
            row = cells[index * width : (index + 1) * width]
            if place is not None:
                size = row[before + after :]
                rows.append(b"".join(map(u32, row[:before])) + u64(place) + b"".join(map(u32, size)))
        return b"".join(rows)

    def _map(self, part: Part) -> Mapping[str, bytes]:
        rows, mask = mapped_interrupts(self.tree, part.node)
        passed = {each.number for each in part.interrupts}
        cells = [(*child, self.gic, *interrupt.cells) for child, interrupt in rows if interrupt.number in passed]
        if not cells:
            return {}
        return {
            "interrupt-map": b"".join(u32(cell) for row in cells for cell in row),
            "interrupt-map-mask": b"".join(map(u32, mask)),
        }
