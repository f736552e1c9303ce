"""What a partition file says, as values: domains before and loads after compilation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.partition.cpus import CpuSet

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class Domain:
    """One [[domain]] table, checked as far as that is possible without the machine and the files.

    memory is in KiB and a positive multiple of 2 MiB; affinity is None or has one non-empty set of physical CPU
    numbers for each of the `cpus` vcpus. `lines` has the line of each key in the file, under "" that of the table.
    """

    name: str
    memory: int
    cpus: int
    kernel: str
    ramdisk: str | None = None
    bootargs: str | None = None
    vpl011: bool = True
    on_reboot: str = "restart"
    on_crash: str = "destroy"
    affinity: tuple[CpuSet, ...] | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def line(self, key: str) -> int:
        return self.lines.get(key, self.lines.get("", 1))


@dataclass(frozen=True)
class Load:
    """A file that has to lie at a physical address when the hypervisor starts. Unit of size: bytes."""

    address: int
    path: Path
    size: int


@dataclass(frozen=True)
class Compiled:
    """The flattened device tree to boot with, and the files that it refers to, by ascending address."""

    dtb: bytes
    loads: list[Load]


@dataclass(frozen=True)
class Modules:
    """The flattened device tree, and the files that it numbers from 1 on."""

    dtb: bytes
    files: list[Path]


def format_size(size: int) -> str:
    """A number of bytes in the largest unit that divides it, as a partition file may have it ("256M")."""
    for unit, letter in ((GIB, "G"), (MIB, "M"), (KIB, "K")):
        if size and size % unit == 0:
            return f"{size // unit}{letter}"
    return f"{size} bytes"
