"""Where a boot loader puts the hypervisor and its tree, which are no domain's files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tools.partition.machine import TREE_WINDOW, Machine, tree_window
from tools.partition.model import MIB, Load

BOUNDARY = 2 * MIB


@dataclass(frozen=True)
class Places:
    """Physical addresses. room: from there on nothing else lies, for a file from which others are taken."""

    hypervisor: int
    tree: int
    room: int


def places_of(machine: Machine, loads: Iterable[Load]) -> Places:
    """The hypervisor 2 MiB into the first bank, where QEMU puts it too; the tree where QEMU puts it."""
    bank = machine.banks[0]
    tree = tree_window(bank).start
    end = max((load.address + load.size for load in loads), default=tree + TREE_WINDOW)
    return Places(bank.start + BOUNDARY, tree, -(-max(end, tree + TREE_WINDOW) // BOUNDARY) * BOUNDARY)
