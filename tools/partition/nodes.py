"""A flattened device tree as objects: nodes with their properties as bytes, and what buses make of addresses.

What is malformed in a property reads as if it were not there: a tree is another program's work, and only what a
domain asks of it has to be right. Source: Devicetree Specification 0.4, chapters 2 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import libfdt

QUIET = (libfdt.NOTFOUND,)
MAX_CELLS = 4  # of an address: PCI's have 3
MAX_DEPTH = 32  # of nodes, as the hypervisor has it
DEFAULT_ADDRESS_CELLS, DEFAULT_SIZE_CELLS = 2, 1


class BadTree(ValueError):
    """A tree cannot be used; the text says why."""


@dataclass(eq=False)
class Node:
    """A node of a tree; the root has no parent and the path "/"."""

    name: str
    parent: Node | None = None
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    @property
    def path(self) -> str:
        names = [node.name for node in (self, *self.above())]
        return "/".join(reversed(names)) or "/"

    def walk(self) -> Iterator[Node]:
        """The node and all below it, in the order of the tree."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)

    def above(self) -> Iterator[Node]:
        """The nodes around it, from its parent to the root."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def holds(self, other: Node) -> bool:
        """Whether `other` is this node or one below it."""
        return self is other or any(node is self for node in other.above())

    def strings(self, name: str) -> list[str]:
        """The strings of a list; none when the property is absent."""
        return [part.decode(errors="replace") for part in self.properties.get(name, b"").split(b"\0")[:-1]]

    def string(self, name: str) -> str | None:
        """The first string of a list, or what stands in its place."""
        value = self.properties.get(name)
        return None if value is None else value.split(b"\0")[0].decode(errors="replace")

    def cells(self, name: str) -> list[int]:
        value = self.properties.get(name, b"")
        return [int.from_bytes(value[at : at + 4]) for at in range(0, len(value) // 4 * 4, 4)]

    def cell(self, name: str, absent: int = 0) -> int:
        return (self.cells(name) or [absent])[0]

    def is_compatible(self, *wanted: str) -> bool:
        return any(name in wanted for name in self.strings("compatible"))

    @property
    def available(self) -> bool:
        return self.string("status") in (None, "okay", "ok")

    @property
    def phandle(self) -> int | None:
        for name in ("phandle", "linux,phandle"):
            if self.cells(name):
                return self.cell(name)
        return None

    @property
    def address_cells(self) -> int:
        """Of the addresses of its children."""
        return self.cell("#address-cells", DEFAULT_ADDRESS_CELLS)

    @property
    def size_cells(self) -> int:
        return self.cell("#size-cells", DEFAULT_SIZE_CELLS)

    def reg(self) -> list[tuple[int, int]]:
        """The (address, size) pairs of its reg, as the bus above numbers them; empty ones are left out."""
        bus = self.parent
        if bus is None:
            return []
        entries = self.entries("reg", bus.address_cells, bus.size_cells)
        return [(address, size) for address, size in entries if size]

    def entries(self, name: str, *widths: int) -> list[tuple[int, ...]]:
        """The property as a table whose columns have so many cells; a rest that is no whole row is left out."""
        if not sum(widths) or max(widths) > MAX_CELLS:
            return []
        cells = self.cells(name)
        rows = []
        for at in range(0, len(cells) - sum(widths) + 1, sum(widths)):
            row, begin = [], at
            for width in widths:
                row.append(number(cells[begin : begin + width]))
                begin += width
            rows.append(tuple(row))
        return rows

    def physical(self, address: int, size: int) -> int | None:
        """Where an address of the bus that the node stands on is in the machine. None: a bus above does not pass it."""
        bus = self.parent
        while bus is not None and bus.parent is not None:
            if "ranges" not in bus.properties:
                return None
            rows = bus.entries("ranges", bus.address_cells, bus.parent.address_cells, bus.size_cells)
            if bus.properties["ranges"]:
                passed = [up + address - low for low, up, length in rows if low <= address <= low + length - size]
                if not passed:
                    return None
                address = passed[0]
            bus = bus.parent
        return address


def number(cells: list[int]) -> int:
    value = 0
    for cell in cells:
        value = value << 32 | cell
    return value


@dataclass(frozen=True)
class Tree:
    """A whole tree. reserved: its header's reservations, as (address, size)."""

    root: Node
    reserved: tuple[tuple[int, int], ...]
    phandles: dict[int, Node]

    def find(self, path: str) -> Node | None:
        """By its path, or by an alias."""
        if not path.startswith("/"):
            aliases = self.find("/aliases")
            target = aliases.string(path) if aliases is not None else None
            if target is None or not target.startswith("/"):
                return None
            path = target
        node = self.root
        for part in filter(None, path.split("/")):
            found = [child for child in node.children if part in (child.name, child.name.split("@")[0])]
            exact = [child for child in found if child.name == part]
            if not exact and len(found) != 1:
                return None
            node = (exact or found)[0]
        return node


def read_tree(dtb: bytes) -> Tree:
    """BadTree: not a whole flattened device tree. libfdt trusts the bytes, so all of them are checked first."""
    if libfdt.fdt_check_full(bytearray(dtb), len(dtb)) != 0:
        raise BadTree("it is not a whole flattened device tree")
    fdt = libfdt.Fdt(bytearray(dtb))
    try:
        root = _read_nodes(fdt)
        reserved = tuple(fdt.get_mem_rsv(index) for index in range(fdt.num_mem_rsv()))
    except (libfdt.FdtException, UnicodeDecodeError) as error:
        raise BadTree(f"it is damaged ({error})") from None
    phandles: dict[int, Node] = {}
    for node in root.walk():
        if node.phandle is not None:
            phandles.setdefault(node.phandle, node)
    return Tree(root, reserved, phandles)


def _read_nodes(fdt: libfdt.Fdt) -> Node:
    root = Node("", properties=_read_properties(fdt, 0))
    around = [root]
    offset, depth = fdt.next_node(0, 0, QUIET)
    while offset >= 0 and depth > 0:
        if depth > MAX_DEPTH:
            raise BadTree(f"its nodes are more than {MAX_DEPTH} deep")
        del around[depth:]
        node = Node(fdt.get_name(offset), around[-1], _read_properties(fdt, offset))
        around[-1].children.append(node)
        around.append(node)
        offset, depth = fdt.next_node(offset, depth, QUIET)
    return root


def _read_properties(fdt: libfdt.Fdt, node: int) -> dict[str, bytes]:
    properties: dict[str, bytes] = {}
    at = fdt.first_property_offset(node, QUIET)
    while at >= 0:
        found = fdt.get_property_by_offset(at)
        properties.setdefault(found.name, bytes(found))
        at = fdt.next_property_offset(at, QUIET)
    return properties
