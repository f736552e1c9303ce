"""What the base device tree tells about the machine: memory banks, reserved ranges, number of CPUs.

Sources: Devicetree Specification 0.4, sections 3.3 (root), 3.4 (/memory), 3.5 (/reserved-memory), 3.8 (/cpus);
for the ranges that QEMU's loader uses, hw/arm/boot.c (arm_setup_direct_kernel_boot).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libfdt

from tools.partition.model import MIB

QUIET = (libfdt.NOTFOUND,)

HYPERVISOR_WINDOW = 16 * MIB  # from the start of the first bank: where loaders put the hypervisor's image
TREE_WINDOW = 2 * MIB  # the largest tree that the arm64 boot protocol allows
TREE_DISTANCE = 128 * MIB  # from the start of the first bank to the tree, unless the bank is too small for it


@dataclass(frozen=True, order=True)
class Region:
    """Physical addresses from start up to, not including, end. What for is part of messages."""

    start: int
    end: int
    what: str = ""

    @property
    def size(self) -> int:
        return self.end - self.start

    def overlaps(self, start: int, size: int) -> bool:
        return start < self.end and self.start < start + size

    def holds(self, address: int) -> bool:
        return self.start <= address < self.end

    def __str__(self) -> str:
        return f"{self.start:#x}-{self.end:#x}"


@dataclass(frozen=True)
class Machine:
    """banks: ascending, disjoint, not empty, neighbours joined. reserved: where no module may lie, ascending."""

    banks: tuple[Region, ...]
    reserved: tuple[Region, ...]
    cpus: int

    @property
    def memory(self) -> int:
        return sum(bank.size for bank in self.banks)

    @property
    def default_load_base(self) -> int:
        """256 MiB into the first bank (0x50000000 on QEMU's virt); in a small bank, right above the tree."""
        bank = self.banks[0]
        return bank.start + 2 * TREE_DISTANCE if bank.size > 4 * TREE_DISTANCE else _tree_window(bank).end


class BadTree(ValueError):
    """The base tree cannot be used; the text says why."""


def open_tree(dtb: bytes) -> libfdt.Fdt:
    """A tree that is safe to walk: libfdt trusts the bytes, so all of them are checked first."""
    if libfdt.fdt_check_full(bytearray(dtb), len(dtb)) != 0:
        raise BadTree("it is not a whole flattened device tree")
    return libfdt.Fdt(bytearray(dtb))


def read_machine(fdt: libfdt.Fdt) -> Machine:
    try:
        banks = tuple(_joined(sorted(_memory(fdt))))
        reserved = [Region(start, start + size, "reserved memory") for start, size in _reservations(fdt)]
        cpus = _count_cpus(fdt)
    except libfdt.FdtException as error:
        raise BadTree(f"it is damaged ({error})") from None
    if not banks:
        raise BadTree("it has no memory node")
    if banks[-1].end > 1 << 64:
        raise BadTree(f"it is damaged (memory {banks[-1]})")
    if not cpus:
        raise BadTree("it has no CPU")
    first = banks[0]
    image = Region(first.start, first.start + HYPERVISOR_WINDOW, "the hypervisor's image")
    return Machine(banks, tuple(sorted([image, _tree_window(first), *reserved])), cpus)


def _tree_window(bank: Region) -> Region:
    """Where QEMU puts the tree: 128 MiB into the memory, or half of it, but 4 MiB at least."""
    start = bank.start + max(min(bank.size // 2, TREE_DISTANCE), 4 * MIB)
    start = -(-start // TREE_WINDOW) * TREE_WINDOW
    return Region(start, start + TREE_WINDOW, "the device tree")


def subnodes(fdt: libfdt.Fdt, parent: int) -> Iterator[int]:
    """Offsets of the children of a node, in the order of the tree."""
    node = fdt.first_subnode(parent, QUIET)
    while node >= 0:
        yield node
        node = fdt.next_subnode(node, QUIET)


def string(fdt: libfdt.Fdt, node: int, name: str) -> str | None:
    """A string property, or the first string of a list; None when the node has none."""
    value = fdt.getprop(node, name, QUIET)
    return None if isinstance(value, int) else bytes(value).split(b"\0")[0].decode(errors="replace")


def _available(fdt: libfdt.Fdt, node: int) -> bool:
    return string(fdt, node, "status") in (None, "okay", "ok")


def _cells(fdt: libfdt.Fdt, parent: int) -> tuple[int, int]:
    def cell(name: str, absent: int) -> int:
        value = fdt.getprop(parent, name, QUIET)
        return absent if isinstance(value, int) else int.from_bytes(bytes(value))

    return cell("#address-cells", 2), cell("#size-cells", 1)


def _reg(fdt: libfdt.Fdt, node: int, cells: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The (address, size) pairs of a node's reg; empty ones are left out."""
    value = fdt.getprop(node, "reg", QUIET)
    raw = b"" if isinstance(value, int) else bytes(value)
    width, step = 4 * cells[0], 4 * sum(cells)
    if not step:
        return
    for at in range(0, len(raw) - step + 1, step):
        size = int.from_bytes(raw[at + width : at + step])
        if size:
            yield int.from_bytes(raw[at : at + width]), size


def _memory(fdt: libfdt.Fdt) -> Iterator[Region]:
    for node in subnodes(fdt, 0):
        if string(fdt, node, "device_type") == "memory" and _available(fdt, node):
            for start, size in _reg(fdt, node, _cells(fdt, 0)):
                yield Region(start, start + size)


def _joined(regions: list[Region]) -> Iterator[Region]:
    while regions:
        first, *regions = regions
        while regions and regions[0].start <= first.end:
            first = Region(first.start, max(first.end, regions[0].end))
            regions = regions[1:]
        yield first


def _reservations(fdt: libfdt.Fdt) -> Iterator[tuple[int, int]]:
    for index in range(fdt.num_mem_rsv()):
        start, size = fdt.get_mem_rsv(index)
        if size:
            yield start, size
    parent = fdt.path_offset("/reserved-memory", QUIET)
    if parent >= 0:
        for node in subnodes(fdt, parent):
            if _available(fdt, node):
                yield from _reg(fdt, node, _cells(fdt, parent))


def _count_cpus(fdt: libfdt.Fdt) -> int:
    parent = fdt.path_offset("/cpus", QUIET)
    if parent < 0:
        return 0
    return sum(string(fdt, node, "device_type") == "cpu" and _available(fdt, node) for node in subnodes(fdt, parent))
