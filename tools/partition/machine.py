"""What the base device tree tells about the machine: memory banks, reserved ranges, CPUs, caches, who its devices are.

Sources: Devicetree Specification 0.4, sections 3.3 (root), 3.4 (/memory), 3.5 (/reserved-memory), 3.6 (/chosen), 3.8
(/cpus); for the ranges that QEMU's loader uses, hw/arm/boot.c (arm_setup_direct_kernel_boot).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tools.partition.model import KIB, MIB
from tools.partition.nodes import BadTree, Node, Tree, read_tree

HYPERVISOR_WINDOW = 16 * MIB  # from the start of the first bank: where loaders put the hypervisor's image
TREE_WINDOW = 2 * MIB  # the largest tree that the arm64 boot protocol allows
TREE_DISTANCE = 128 * MIB  # from the start of the first bank to the tree, unless the bank is too small for it
PAGE = 4 * KIB


@dataclass(frozen=True, order=True)
class Region:
    """Addresses from start up to, not including, end. What for is part of messages; line is the one of the partition
    file that asks for it, if one does.
    """

    start: int
    end: int
    what: str = ""
    line: int = 0

    @property
    def size(self) -> int:
        return self.end - self.start

    def overlaps(self, start: int, size: int) -> bool:
        return start < self.end and self.start < start + size

    def holds(self, address: int) -> bool:
        return self.start <= address < self.end

    def __str__(self) -> str:
        return f"{self.start:#x}-{self.end:#x}"


def page_region(region: Region) -> Region:
    """The pages that a range of addresses lies in."""
    return Region(region.start // PAGE * PAGE, -(-region.end // PAGE) * PAGE, region.what)


@dataclass(frozen=True)
class Machine:
    """banks: ascending, disjoint, not empty, neighbours joined. reserved: where no module may lie, ascending. colors:
    of the last cache, None when the tree does not tell."""

    banks: tuple[Region, ...]
    reserved: tuple[Region, ...]
    cpus: int
    tree: Tree
    colors: int | None = None

    @property
    def memory(self) -> int:
        return sum(bank.size for bank in self.banks)

    @property
    def default_load_base(self) -> int:
        """256 MiB into the first bank (0x50000000 on QEMU's virt); in a small bank, right above the tree."""
        bank = self.banks[0]
        return bank.start + 2 * TREE_DISTANCE if bank.size > 4 * TREE_DISTANCE else tree_window(bank).end


def read_machine(dtb: bytes) -> Machine:
    """BadTree: these bytes are no tree of a machine that has memory and CPUs."""
    tree = read_tree(dtb)
    banks = tuple(_joined(sorted(_memory(tree.root))))
    cpus = _cpus(tree)
    if not banks:
        raise BadTree("it has no memory node")
    if banks[-1].end > 1 << 64:
        raise BadTree(f"it is damaged (memory {banks[-1]})")
    if not cpus:
        raise BadTree("it has no CPU")
    first = banks[0]
    reserved = [Region(start, start + size, "reserved memory") for start, size in _reservations(tree)]
    image = Region(first.start, first.start + HYPERVISOR_WINDOW, "the hypervisor's image")
    ranges = tuple(sorted([image, tree_window(first), *reserved]))
    return Machine(banks, ranges, len(cpus), tree, _colors(tree.root))


def tree_window(bank: Region) -> Region:
    """Where QEMU puts the tree: 128 MiB into the memory, or half of it, but 4 MiB at least."""
    start = bank.start + max(min(bank.size // 2, TREE_DISTANCE), 4 * MIB)
    start = -(-start // TREE_WINDOW) * TREE_WINDOW
    return Region(start, start + TREE_WINDOW, "the device tree")


def _memory(root: Node) -> Iterator[Region]:
    for node in root.children:
        if node.string("device_type") == "memory" and node.available:
            for start, size in node.reg():
                yield Region(start, start + size)


def _joined(regions: list[Region]) -> Iterator[Region]:
    while regions:
        first, *regions = regions
        while regions and regions[0].start <= first.end:
            first = Region(first.start, max(first.end, regions[0].end))
            regions = regions[1:]
        yield first


def _reservations(tree: Tree) -> Iterator[tuple[int, int]]:
    yield from ((start, size) for start, size in tree.reserved if size)
    parent = tree.find("/reserved-memory")
    if parent is not None:
        for node in parent.children:
            if node.available:
                yield from node.reg()


def _cpus(tree: Tree) -> list[Node]:
    parent = tree.find("/cpus")
    if parent is None:
        return []
    return [node for node in parent.children if node.string("device_type") == "cpu" and node.available]


def _colors(root: Node) -> int | None:
    """How many pages lie beside each other in a way of the last cache, that is sets times line size (Devicetree
    Specification, 3.8 and 3.9)."""
    caches = [node for node in root.walk() if "cache-level" in node.properties and "cache-sets" in node.properties]
    if not caches:
        return None
    last = max(caches, key=lambda node: node.cell("cache-level"))
    line = last.cell("cache-line-size") or last.cell("cache-block-size")
    return last.cell("cache-sets") * line // PAGE or None


def console_of(tree: Tree) -> Node | None:
    """The UART that /chosen names as the console, which the hypervisor takes."""
    chosen = tree.find("/chosen")
    path = None if chosen is None else chosen.string("stdout-path") or chosen.string("linux,stdout-path")
    return tree.find(path.partition(":")[0]) if path else None
