"""What a partition file says, as values: domains before and loads after compilation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.partition.cpus import CpuSet

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


Places = tuple[int | str, ...]
"""Of a device's registers and windows, each an address, or "same", "free" or "none"."""


class Lined:
    """Something of the file: the line of each of its keys, under "" that of its table."""

    lines: Mapping[str, int]

    def line(self, key: str) -> int:
        return self.lines.get(key, self.lines.get("", 1))


@dataclass(frozen=True)
class Span(Lined):
    """A range of the machine's memory, in bytes."""

    start: int
    size: int
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True)
class Device(Lined):
    """A device of the machine that a domain gets: a node of its tree, by path or alias.

    at: where the guest finds its registers, then the windows of its `ranges`; empty: all where the machine has them.
    interrupts: INTIDs, None: all that the node has.
    """

    path: str
    at: Places = ()
    interrupts: tuple[int, ...] | None = None
    force_assign_without_iommu: bool = False
    clock_frequency: int | None = None
    drop: tuple[str, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def line(self, key: str) -> int:
        return self.lines.get(key, self.lines.get("path", 1))


@dataclass(frozen=True)
class SharedMemory(Lined):
    """Memory that several domains have. Without `at` the hypervisor takes it from its heap; without owner it is the
    hypervisor's own. guest_at: domain -> its address there.
    """

    name: str
    size: int
    owner: str | None
    borrowers: tuple[str, ...]
    guest_at: Mapping[str, int]
    at: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def domains(self) -> tuple[str, ...]:
        return (*([self.owner] if self.owner else []), *self.borrowers)


@dataclass(frozen=True)
class Domain(Lined):
    """One [[domain]] table, checked as far as that is possible without the machine and the files.

    memory is in KiB and a positive multiple of 2 MiB; affinity is None or has one non-empty set of physical CPU
    numbers for each of the `cpus` vcpus.
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
    on_watchdog: str = "restart"
    affinity: tuple[CpuSet, ...] | None = None
    static_memory: tuple[Span, ...] = ()
    direct_map: bool = False
    devices: tuple[Device, ...] = ()
    nr_spis: int | None = None
    trap_unmapped_accesses: bool = True
    llc_colors: CpuSet | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Load:
    """A file that has to lie at a physical address when the hypervisor starts. Unit of size: bytes.

    With `content` it is one that the compiler made, and `path` its name, to be written beside the tree.
    """

    address: int
    path: Path
    size: int
    content: bytes | None = field(default=None, repr=False)
    domain: str = ""


@dataclass(frozen=True)
class Given:
    """A range of a guest's addresses that a line of the file gave it. start is the guest's; host is where it lies in
    the machine, None when the hypervisor chooses.
    """

    start: int
    size: int
    line: int
    what: str
    host: int | None = None

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True)
class Compiled:
    """The flattened device tree to boot with, and the files that it refers to, by ascending address. given: domain ->
    its addresses, ascending."""

    dtb: bytes
    loads: list[Load]
    given: Mapping[str, list[Given]] = field(default_factory=dict)

    def written(self, folder: Path, stem: str) -> Compiled:
        """With the files that the compiler made in a folder, their names beginning with a stem."""
        loads = []
        for load in self.loads:
            if load.content is not None:
                path = folder / f"{stem}-{load.path.name}"
                path.write_bytes(load.content)
                load = Load(load.address, path, load.size, domain=load.domain)
            loads.append(load)
        return Compiled(self.dtb, loads, self.given)


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
