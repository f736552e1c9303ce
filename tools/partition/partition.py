"""Compilation: a checked description, a machine's tree and files become a bootable tree and a load list."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.partition.cpus import format_cpus
from tools.partition.image import Image, read_image, read_pvh
from tools.partition.machine import BadTree, Machine, open_tree, read_machine
from tools.partition.mistakes import Mistake, Mistakes, PartitionError, Wrong
from tools.partition.model import KIB, MIB, Compiled, Domain, Load, Modules, format_size
from tools.partition.tree import chosen_names, domain_node, empty, merge

ALIGNMENT = 2 * MIB
GUEST_TREE = 64 * KIB  # an upper bound for the tree that the hypervisor writes into the domain's memory

Resolve = Callable[[str], Path]


@dataclass(frozen=True)
class Partition:
    """A partition file that `load` accepted: right in itself, not yet held against a machine and files."""

    path: Path
    domains: tuple[Domain, ...]
    command_line: str | None = None
    load_base: int | None = None
    load_base_line: int = 1

    def compile(self, base_dtb: bytes, resolve: Resolve) -> Compiled:
        """Merges the domains into the machine's tree and gives each file an address.

        `resolve` turns a name from the file into a path; it may raise OSError, LookupError or ValueError with a
        reason for people; anything else passes through.
        PartitionError: the machine or a file does not fit; its text names all that was found.
        """
        try:
            fdt = open_tree(base_dtb)
            machine = read_machine(fdt)
            taken = chosen_names(fdt)
        except BadTree as error:
            instead = "give the machine's own, such as QEMU writes with -M virt,virtualization=on,dumpdtb=base.dtb"
            raise PartitionError(self.path, [Mistake(1, f"the base tree cannot be used: {error}", instead)]) from None
        mistakes = Mistakes(self.path)
        for domain in self.domains:
            if domain.name in taken:
                mistakes.add(
                    domain.line("name"),
                    f"the base tree already has a node /chosen/{domain.name}",
                    "rename the domain, or start from the machine's own tree",
                )
        self._check_resources(machine, mistakes)
        files = _Files(resolve, mistakes)
        for domain in self.domains:
            files.check_domain(domain)
        mistakes.check()
        loads = self._place(machine, files, mistakes)
        mistakes.check()
        nodes = [
            domain_node(d, loads[files.paths[d.kernel]], loads[files.paths[d.ramdisk]] if d.ramdisk else None)
            for d in self.domains
        ]
        return Compiled(merge(base_dtb, nodes, self.command_line), list(loads.values()))

    def compile_modules(self, resolve: Resolve) -> Modules:
        """For a machine whose boot loader places modules as it likes: the tree names them by their numbers, and is the
        first of them itself. PartitionError as in `compile`.
        """
        mistakes = Mistakes(self.path)
        files = _Files(resolve, mistakes, read_pvh)
        for domain in self.domains:
            files.check_domain(domain)
            if domain.vpl011 and "vpl011" in domain.lines:
                mistakes.add(domain.line("vpl011"), "vpl011 is a UART of Arm's", "leave it out: the console is Xen's")
        mistakes.check()
        paths = list(dict.fromkeys(files.paths[name] for _, name in files.named))
        number = {path: index for index, path in enumerate(paths, 1)}
        nodes = [
            domain_node(
                dataclasses.replace(domain, vpl011=False),
                number[files.paths[domain.kernel]],
                number[files.paths[domain.ramdisk]] if domain.ramdisk else None,
            )
            for domain in self.domains
        ]
        return Modules(merge(empty(), nodes, None), paths)

    def _check_resources(self, machine: Machine, mistakes: Mistakes) -> None:
        total = 0
        for domain in self.domains:
            fits = total <= machine.memory
            total += domain.memory * KIB
            if fits and total > machine.memory:
                mistakes.add(
                    domain.line("memory"),
                    f'with domain "{domain.name}" the domains have {format_size(total)}, '
                    f"the machine has {format_size(machine.memory)}",
                    "give the domains less memory, or the machine more",
                )
            absent = set().union(*(domain.affinity or ())) - set(range(machine.cpus))
            if absent:
                mistakes.add(
                    domain.line("affinity"),
                    f"affinity: the machine has no CPU {format_cpus(absent)}",
                    f'use its CPUs "{format_cpus(range(machine.cpus))}"',
                )

    def _place(self, machine: Machine, files: _Files, mistakes: Mistakes) -> dict[Path, Load]:
        """Addresses for all files in the order of the description; a file that several domains name is loaded once."""
        base = machine.default_load_base if self.load_base is None else self.load_base
        bank = next((bank for bank in machine.banks if bank.holds(base)), None)
        if bank is None:
            mistakes.add(
                self.load_base_line,
                f"load_base {base:#x} is outside the machine's memory",
                "write an address in " + " or ".join(map(str, machine.banks)),
            )
            return {}
        reserved = next((region for region in machine.reserved if region.holds(base)), None)
        if reserved is not None:
            mistakes.add(
                self.load_base_line,
                f"load_base {base:#x} is where {reserved.what} lies ({reserved})",
                f"write {machine.default_load_base:#x}, or leave the key out",
            )
            return {}
        loads: dict[Path, Load] = {}
        address = base
        for line, name in files.named:
            path = files.paths[name]
            if path in loads:
                continue
            size = files.sizes[path]
            while blocker := next(
                (region for region in machine.reserved if region.overlaps(address, _align(size))), None
            ):
                address = _align(blocker.end)
            if address + size > bank.end:
                mistakes.add(
                    line,
                    f'"{name}" ({format_size(_align(size))}) does not fit between {address:#x} and the end of the '
                    f"memory bank at {bank.end:#x}",
                    f"write a lower load_base in [layout] (now {base:#x}), or give the machine more memory",
                )
                return {}
            loads[path] = Load(address, path, size)
            address = _align(address + size)
        return loads


class _Files:
    """The files of all domains, each looked up once.

    paths: name in the description -> path; sizes: bytes; named: (line, name) in the order of the description.
    """

    def __init__(self, resolve: Resolve, mistakes: Mistakes, read: Callable[[Path, str], Image] = read_image) -> None:
        self._read = read
        self._resolve = resolve
        self._mistakes = mistakes
        self.paths: dict[str, Path] = {}
        self.sizes: dict[Path, int] = {}
        self.named: list[tuple[int, str]] = []

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


def _align(address: int) -> int:
    return -(-address // ALIGNMENT) * ALIGNMENT
