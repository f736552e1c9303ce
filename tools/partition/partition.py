"""Compilation: a checked description, a machine's tree and files become a bootable tree and a load list."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.partition.cpus import format_cpus
from tools.partition.devices import Assigned, assign, check_shared, given_to
from tools.partition.guest_map import REDISTRIBUTOR, registers
from tools.partition.image import Image, read_image, read_pvh
from tools.partition.interrupts import gic_of
from tools.partition.machine import Machine, Region, read_machine
from tools.partition.mistakes import Mistake, Mistakes, PartitionError, Wrong
from tools.partition.model import (
    KIB,
    MIB,
    Compiled,
    Domain,
    Given,
    Lined,
    Load,
    Modules,
    SharedMemory,
    Span,
    format_size,
)
from tools.partition.nodes import BadTree
from tools.partition.partial import partial_tree
from tools.partition.spans import check_in_memory, spans_of
from tools.partition.tree import (
    HYPERVISOR_COMMAND_LINE,
    Files,
    Node,
    domain_node,
    empty,
    lines_of,
    merge,
    shared_node,
    strings,
    u32,
    u64,
)

ALIGNMENT = 2 * MIB
MOST_OF_GICV2 = 8  # vCPUs (Arm IHI 0048, 1.3)
GUEST_TREE = 64 * KIB  # an upper bound for the tree that the hypervisor writes into the domain's memory

Resolve = Callable[[str], Path]

ARM_ONLY = (
    "vpl011",
    "static_memory",
    "direct_map",
    "devices",
    "nr_spis",
    "trap_unmapped_accesses",
    "llc_colors",
)
"""Keys of a domain that say something about Arm's machines alone."""


@dataclass(frozen=True)
class Board(Lined):
    """What the file says of the machine: its tree, the hypervisor's image for it, and the colours of its last cache
    where the tree does not tell them."""

    tree: str | None = None
    hypervisor: str | None = None
    llc_colors: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Plan:
    """The file held against a machine, when there is one: its devices by domain, and what each domain was given where.

    spans: the memory with places of its own.
    """

    machine: Machine | None
    devices: Mapping[str, list[Assigned]]
    given: Mapping[str, list[Given]]
    spans: list[Region]


@dataclass(frozen=True)
class Partition:
    """A partition file that `load` accepted: right in itself, not yet held against a machine and files."""

    path: Path
    domains: tuple[Domain, ...]
    command_line: str | None = None
    load_base: int | None = None
    load_base_line: int = 1
    shared: tuple[SharedMemory, ...] = ()
    static_heap: tuple[Span, ...] = ()
    console_input: str | None = None
    board: Board = field(default_factory=Board)

    def compile(self, base_dtb: bytes, resolve: Resolve) -> Compiled:
        """Merges the domains into the machine's tree and gives each file an address.

        `resolve` turns a name from the file into a path; it may raise OSError, LookupError or ValueError with a
        reason for people; anything else passes through.
        PartitionError: the machine or a file does not fit; its text names all that was found.
        """
        mistakes = Mistakes(self.path)
        machine = self._machine(base_dtb)
        plan = self._plan(machine, mistakes)
        files = _Files(resolve, mistakes)
        for domain in self.domains:
            files.check_domain(domain)
        partials = {
            domain.name: partial_tree(machine, devices, mistakes)
            for domain in self.domains
            if (devices := [each for each in plan.devices[domain.name] if _is_placed(each)])
        }
        mistakes.check()
        for domain in self.domains:
            if domain.name in partials:
                files.add(domain.line("devices"), f"{domain.name}.dtb", partials[domain.name], domain.name)
        loads = self._place(machine, plan, files, mistakes)
        mistakes.check()
        nodes = [self._node(domain, plan, files, loads) for domain in self.domains]
        passed = [each.node.path for devices in plan.devices.values() for each in devices if each.parts]
        return Compiled(merge(base_dtb, nodes, self._chosen(machine), passed), list(loads.values()), plan.given)

    def plan(self, base_dtb: bytes) -> Plan:
        """The file held against the machine, without any files. PartitionError: it does not fit."""
        mistakes = Mistakes(self.path)
        plan = self._plan(self._machine(base_dtb), mistakes)
        mistakes.check()
        return plan

    def sketch(self) -> Plan:
        """What the file says without any machine: no devices."""
        spans = list(spans_of(self.domains, self.shared, self.static_heap))
        given = {domain.name: given_to(domain, [], self.shared, None) for domain in self.domains}
        return Plan(None, {}, given, spans)

    def _machine(self, base_dtb: bytes) -> Machine:
        try:
            return read_machine(base_dtb)
        except BadTree as error:
            instead = "give the machine's own, such as QEMU writes with -M virt,virtualization=on,dumpdtb=base.dtb"
            raise PartitionError(self.path, [Mistake(1, f"the base tree cannot be used: {error}", instead)]) from None

    def _plan(self, machine: Machine, mistakes: Mistakes) -> Plan:
        chosen = machine.tree.find("/chosen")
        taken = {node.name for node in chosen.children} if chosen is not None else set()
        for domain in self.domains:
            if domain.name in taken:
                mistakes.add(
                    domain.line("name"),
                    f"the base tree already has a node /chosen/{domain.name}",
                    "rename the domain, or start from the machine's own tree",
                )
        self._check_resources(machine, mistakes)
        self._check_controller(machine, mistakes)
        self._check_colors(machine, mistakes)
        spans = list(spans_of(self.domains, self.shared, self.static_heap))
        check_in_memory(spans, machine, mistakes)
        devices = assign(machine, self.domains, self.shared, mistakes)
        check_shared(machine, self.domains, self.shared, mistakes)
        given = {domain.name: given_to(domain, devices[domain.name], self.shared, machine) for domain in self.domains}
        return Plan(machine, devices, given, spans)

    def _node(self, domain: Domain, plan: Plan, files: _Files, loads: Mapping[Path, Load]) -> Node:
        named = Files(
            loads[files.paths[domain.kernel]],
            loads[files.paths[domain.ramdisk]] if domain.ramdisk else None,
            loads.get(Path(f"{domain.name}.dtb")),
        )
        more = dict(lines_of(self.path.name, plan.given[domain.name]))
        if domain.name == self.console_input:
            more["constrictor,console-input"] = b""
        node = domain_node(domain, named, more)
        shared = [shared_node(region, domain) for region in self.shared if domain.name in region.guest_at]
        return dataclasses.replace(node, children=[*node.children, *shared])

    def _chosen(self, machine: Machine) -> Mapping[str, bytes]:
        properties = {}
        if self.command_line is not None:
            properties[HYPERVISOR_COMMAND_LINE] = strings(self.command_line)
        if any(domain.static_memory for domain in self.domains):
            properties |= {"#address-cells": u32(2), "#size-cells": u32(2)}
        if self.static_heap:
            root = machine.tree.root
            address = u32 if root.address_cells == 1 else u64
            size = u32 if root.size_cells == 1 else u64
            rows = [address(span.start) + size(span.size) for span in self.static_heap]
            properties["xen,static-heap"] = b"".join(rows)
        colors = self._colors(machine)
        if colors is not None and any(domain.llc_colors for domain in self.domains):
            properties["constrictor,llc-colors"] = u32(colors)
        return properties

    def _colors(self, machine: Machine) -> int | None:
        """Of the last cache, a power of two; None: neither file nor tree tells."""
        told = self.board.llc_colors or machine.colors
        return told if told is not None and told.bit_count() == 1 else None

    def compile_modules(self, resolve: Resolve) -> Modules:
        """For a machine whose boot loader places modules as it likes: the tree names them by their numbers, and is the
        first of them itself. PartitionError as in `compile`.
        """
        mistakes = Mistakes(self.path)
        files = _Files(resolve, mistakes, read_pvh)
        for domain in self.domains:
            files.check_domain(domain)
            for key in ARM_ONLY:
                if key in domain.lines and not (key == "vpl011" and not domain.vpl011):
                    instead = "leave it out" + (": the console is Xen's" if key == "vpl011" else "")
                    mistakes.add(domain.line(key), f"{key} is for Arm's machines alone", instead)
        for region in self.shared:
            mistakes.add(region.line(""), "shared_memory is for Arm's machines alone", "leave it out")
        mistakes.check()
        paths = list(dict.fromkeys(files.paths[name] for _, name in files.named))
        number = {path: index for index, path in enumerate(paths, 1)}
        nodes = [
            domain_node(
                dataclasses.replace(domain, vpl011=False),
                Files(
                    number[files.paths[domain.kernel]],
                    number[files.paths[domain.ramdisk]] if domain.ramdisk else None,
                ),
            )
            for domain in self.domains
        ]
        return Modules(merge(empty(), nodes, {}), paths)

    def _check_resources(self, machine: Machine, mistakes: Mistakes) -> None:
        total = 0
        for what, size, line in self._memory_wanted():
            fits = total <= machine.memory
            total += size
            if fits and total > machine.memory:
                mistakes.add(
                    line,
                    f"with {what} the domains have {format_size(total)}, the machine has {format_size(machine.memory)}",
                    "give the domains less memory, or the machine more",
                )
        for domain in self.domains:
            absent = set().union(*(domain.affinity or ())) - set(range(machine.cpus))
            if absent:
                mistakes.add(
                    domain.line("affinity"),
                    f"affinity: the machine has no CPU {format_cpus(absent)}",
                    f'use its CPUs "{format_cpus(range(machine.cpus))}"',
                )

    def _check_controller(self, machine: Machine, mistakes: Mistakes) -> None:
        """A GICv2 counts CPUs in eight bits."""
        gic = gic_of(machine.tree)
        if gic is None:
            return
        if gic.is_compatible("arm,gic-v3"):
            self._check_redistributors(registers(gic), mistakes)
            return
        for domain in self.domains:
            if domain.cpus > MOST_OF_GICV2:
                what = f"cpus: this machine has a GICv2, whose guests have at most {MOST_OF_GICV2}"
                mistakes.add(domain.line("cpus"), what, f"write cpus = {MOST_OF_GICV2}, or less")

    def _check_redistributors(self, places: list[Region], mistakes: Mistakes) -> None:
        """Those of a guest that is mapped directly are where the machine has its first ones."""
        most = places[1].size // REDISTRIBUTOR if len(places) > 1 else 0
        for domain in self.domains:
            if domain.direct_map and domain.cpus > most:
                what = f"cpus: where the machine has its redistributors there is room for {most}"
                mistakes.add(domain.line("cpus"), what, f"write cpus = {most}, or less, or leave out direct_map")

    def _memory_wanted(self) -> Iterator[tuple[str, int, int]]:
        """For what, how many bytes, and the line that says it."""
        for domain in self.domains:
            line = domain.line("memory" if "memory" in domain.lines else "static_memory")
            yield f'domain "{domain.name}"', domain.memory * KIB, line
        for region in self.shared:
            yield f'the shared memory "{region.name}"', region.size, region.line("size")
        for span in self.static_heap:
            yield "the hypervisor's heap", span.size, span.line("size")

    def _check_colors(self, machine: Machine, mistakes: Mistakes) -> None:
        colors = self._colors(machine)
        for domain in self.domains:
            beyond = {color for color in domain.llc_colors or () if colors is not None and color >= colors}
            if beyond and colors is not None:
                what = f"llc_colors: the last cache has no colour {format_cpus(beyond)}"
                mistakes.add(domain.line("llc_colors"), what, f'use its colours "{format_cpus(range(colors))}"')

    def _place(self, machine: Machine, plan: Plan, files: _Files, mistakes: Mistakes) -> dict[Path, Load]:
        """Addresses for all files in the order of the description; a file that several domains name is loaded once."""
        occupied = sorted([*machine.reserved, *plan.spans])
        base = machine.default_load_base if self.load_base is None else self.load_base
        bank = next((bank for bank in machine.banks if bank.holds(base)), None)
        if bank is None:
            mistakes.add(
                self.load_base_line,
                f"load_base {base:#x} is outside the machine's memory",
                "write an address in " + " or ".join(map(str, machine.banks)),
            )
            return {}
        reserved = next((region for region in occupied if region.holds(base)), None)
        if reserved is not None:
            usual = machine.default_load_base
            better = usual if not any(region.holds(usual) for region in occupied) else _align(reserved.end)
            mistakes.add(
                self.load_base_line,
                f"load_base {base:#x} is where {reserved.what} lies ({reserved})",
                f"write {better:#x}, or leave the key out",
            )
            return {}
        loads: dict[Path, Load] = {}
        address = base
        for line, name in files.named:
            path = files.paths[name]
            if path in loads:
                continue
            size = files.sizes[path]
            while blocker := next((region for region in occupied if region.overlaps(address, _align(size))), None):
                address = _align(blocker.end)
            if address + size > bank.end:
                mistakes.add(
                    line,
                    f'"{name}" ({format_size(_align(size))}) does not fit between {address:#x} and the end of the '
                    f"memory bank at {bank.end:#x}",
                    f"write a lower load_base in [layout] (now {base:#x}), or give the machine more memory",
                )
                return {}
            loads[path] = Load(address, path, size, *files.made.get(path, ()))
            address = _align(address + size)
        return loads


class _Files:
    """The files of all domains, each looked up once.

    paths: name in the description -> path; sizes: bytes; named: (line, name) in the order of the description; made:
    those that the compiler wrote itself, with the domain that each is for.
    """

    def __init__(self, resolve: Resolve, mistakes: Mistakes, read: Callable[[Path, str], Image] = read_image) -> None:
        self._read = read
        self._resolve = resolve
        self._mistakes = mistakes
        self.paths: dict[str, Path] = {}
        self.sizes: dict[Path, int] = {}
        self.named: list[tuple[int, str]] = []
        self.made: dict[Path, tuple[bytes, str]] = {}

    def add(self, line: int, name: str, content: bytes, domain: str) -> None:
        """A file that the compiler made. The names of others lead to absolute paths, so this one is no other's."""
        path = Path(name)
        self.paths[f"\0{name}"] = path
        self.sizes[path] = len(content)
        self.named.append((line, f"\0{name}"))
        self.made[path] = content, domain

    def check_domain(self, domain: Domain) -> None:
        """Finds the domain's files, checks that its kernel is one, and that both fit into its memory."""
        kernel = self._find(domain.kernel, "kernel", domain.line("kernel"))
        ramdisk = self._find(domain.ramdisk, "ramdisk", domain.line("ramdisk")) if domain.ramdisk else None
        if kernel is None:
            return
        try:
            image = self._read(kernel, domain.kernel)
        except Wrong as wrong:
            self._mistakes.add(domain.line("kernel"), f"kernel: {wrong.what}", wrong.instead)
            return
        needed = image.footprint + (self.sizes[ramdisk] if ramdisk else 0) + GUEST_TREE
        if needed > domain.memory * KIB:
            self._mistakes.add(
                domain.line("memory"),
                f"memory: {format_size(domain.memory * KIB)} does not hold the kernel"
                + (" and the ramdisk" if ramdisk else ""),
                f'write at least "{format_size(_align(needed))}"',
            )

    def _find(self, name: str, key: str, line: int) -> Path | None:
        try:
            path = self.paths.get(name) or self._resolve(name).resolve()
            with path.open("rb") as file:
                size = file.seek(0, 2)
        except (OSError, LookupError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else _reason(error)
            self._mistakes.add(line, f'{key}: "{name}" cannot be read: {reason}', "name an existing file")
            return None
        if not size:
            self._mistakes.add(line, f'{key}: "{name}" is empty', "name a file with contents")
            return None
        self.paths[name] = path
        self.sizes[path] = size
        self.named.append((line, name))
        return path


def _reason(error: Exception) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def _is_placed(each: Assigned) -> bool:
    """Whether nothing was wrong with its places."""
    return all(len(part.places) == len(part.regions) for part in each.parts)


def _align(address: int) -> int:
    return -(-address // ALIGNMENT) * ALIGNMENT
