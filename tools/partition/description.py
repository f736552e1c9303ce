"""The format of partition files: which tables and keys there are, and what each may hold.

Everything that can be known from the file alone is checked here, and every mistake is reported, not the first one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.partition.cpus import CpuSet, parse_cpus
from tools.partition.lines import Document, parse
from tools.partition.mistakes import Mistakes, Wrong, closest, shown
from tools.partition.model import GIB, KIB, MIB, Domain, format_size
from tools.partition.partition import Partition

BLOCK = 2 * MIB  # the hypervisor maps guest memory in blocks of this size, and modules begin on such a boundary
MAX_GUEST_MEMORY = 1019 * GIB  # both banks of the guest's physical map: 3 GiB and 1016 GiB (public/arch-arm.h)
MAX_VCPUS = 128  # GUEST_MAX_VCPUS (public/arch-arm.h)
MAX_ADDRESS = 1 << 52  # the largest physical address space of AArch64 (ID_AA64MMFR0_EL1.PARange)
MAX_COMMAND_LINE = 2047  # bytes; arm64 Linux keeps COMMAND_LINE_SIZE = 2048 with the closing NUL

ENDINGS = ("restart", "destroy")  # what becomes of a domain that has come to an end
FOREIGN_TABLES = ("scenario", "machine")  # belong to the scenario runner

Reader = Callable[[Any], Any]


def load(path: Path) -> Partition:
    """Reads a partition file. PartitionError: the file is unreadable or has mistakes; its text names all of them."""
    document = parse(path)
    mistakes = Mistakes(path)
    domains = _domains(document, mistakes)
    hypervisor = _table(document, mistakes, "hypervisor", {"command_line": _command_line})
    layout = _table(document, mistakes, "layout", {"load_base": _load_base})
    known = ["domain", "hypervisor", "layout", *FOREIGN_TABLES]
    for name in document.data:
        if name not in known:
            mistakes.add(document.line(name), f"unknown table or key {shown(name)}", closest(name, known))
    mistakes.check()
    return Partition(
        path=path,
        domains=tuple(domains),
        command_line=hypervisor.get("command_line"),
        load_base=layout.get("load_base"),
        load_base_line=document.line("layout", "load_base"),
    )


def _domains(document: Document, mistakes: Mistakes) -> list[Domain]:
    tables = document.data.get("domain")
    if isinstance(tables, dict) or (tables is not None and not isinstance(tables, list)):
        mistakes.add(document.line("domain"), "[domain] is no list of domains", "write [[domain]] before each domain")
        return []
    if not tables:
        hypervisor = document.data.get("hypervisor")
        if not (isinstance(hypervisor, dict) and "command_line" in hypervisor):  # the hypervisor alone, told what to do
            hint = "add a table that begins with [[domain]]"
            mistakes.add(document.line("domain"), "the file describes no domain", hint)
        return []
    domains = []
    seen: dict[str, int] = {}
    for index, table in enumerate(tables):
        values = _keys(document, mistakes, ("domain", index), table, DOMAIN_KEYS)
        if not isinstance(table, dict):
            continue
        line = document.line("domain", index)
        name = values.get("name")
        label = f'domain "{name}"' if name else "this domain"
        for key in ("name", "memory", "cpus", "kernel"):
            if key not in table:
                mistakes.add(line, f'{label} has no key "{key}"', f"write {EXAMPLES[key]}")
        if name in seen:
            mistakes.add(
                document.line("domain", index, "name"),
                f'domain name "{name}" is already taken in line {seen[name]}',
                "give each domain a name of its own",
            )
        elif name is not None:
            seen[name] = document.line("domain", index, "name")
        try:
            affinity = _affinity_per_vcpu(values.get("affinity"), values.get("cpus"))
        except Wrong as wrong:
            mistakes.add(document.line("domain", index, "affinity"), wrong.what, wrong.instead)
            continue
        if all(key in values for key in ("name", "memory", "cpus", "kernel")):
            lines = {"": line} | {key: document.line("domain", index, key) for key in values}
            domains.append(Domain(**{**values, "affinity": affinity}, lines=lines))
    return domains


def _table(document: Document, mistakes: Mistakes, name: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    return _keys(document, mistakes, (name,), document.data.get(name, {}), readers)


def _keys(
    document: Document, mistakes: Mistakes, place: tuple[str | int, ...], table: Any, readers: Mapping[str, Reader]
) -> dict[str, Any]:
    """The values of one table that can be used; the others are noted as mistakes."""
    if not isinstance(table, dict):
        header = "[[domain]]" if place[0] == "domain" else f"[{place[0]}]"
        mistakes.add(document.line(*place), f"{shown(table)} is not a table", f"write {header} and keys below it")
        return {}
    values = {}
    for key, value in table.items():
        if key not in readers:
            mistakes.add(document.line(*place, key), f"unknown key {shown(key)}", closest(key, readers))
            continue
        try:
            values[key] = readers[key](value)
        except Wrong as wrong:
            element = () if wrong.element is None else (wrong.element,)
            mistakes.add(document.line(*place, key, *element), f"{key}: {wrong.what}", wrong.instead)
    return values


def _text(value: Any, instead: str) -> str:
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not text", instead)
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise Wrong(
            f"{shown(value)} has a line break or another control character",
            'write one line; in """...""" end each line with a backslash',
        )
    return value


def _name(value: Any) -> str:
    name = _text(value, f"write {EXAMPLES['name']}")
    if not re.fullmatch(r"[a-z0-9-]{1,15}", name):
        plain = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:15]
        raise Wrong(
            f"{shown(name)} is not a domain name",
            'use 1 to 15 of the characters a-z, 0-9 and "-"' + (f', such as "{plain}"' if plain else ""),
        )
    return name


def _memory(value: Any) -> int:
    """The memory of a domain in KiB."""
    size = _bytes(value)
    if size <= 0:
        raise Wrong("a domain needs memory", f"write {EXAMPLES['memory']}")
    if size > MAX_GUEST_MEMORY:
        raise Wrong(
            f"{shown(value)} is more than a guest can address ({format_size(MAX_GUEST_MEMORY)})",
            'write a size such as "1G" (a number without quotes counts MiB)',
        )
    if size % BLOCK:
        below, above = size // BLOCK * BLOCK, -(-size // BLOCK) * BLOCK
        choice = " or ".join(f'"{format_size(near)}"' for near in (below, above) if near)
        raise Wrong(f"{format_size(size)} is not a multiple of {format_size(BLOCK)}", f"write {choice}")
    return size // KIB


def _bytes(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value * MIB
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a memory size", f"write {EXAMPLES['memory']}")
    match = re.fullmatch(r"([0-9]{1,15})([KMG])", value)
    if not match:
        near = re.fullmatch(r"\s*([0-9]{1,15})\s*([kmgKMG]?)(?:i?[bB])?\s*", value)
        better = f'"{near[1]}{near[2].upper() or "M"}"' if near else EXAMPLES["memory"]
        raise Wrong(f"{shown(value)} is not a memory size", f"write digits and K, M or G, here {better}")
    return int(match[1]) * {"K": KIB, "M": MIB, "G": GIB}[match[2]]


def _cpus(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong(f"{shown(value)} is not a number of vcpus", f"write {EXAMPLES['cpus']}")
    if not 1 <= value <= MAX_VCPUS:
        raise Wrong(f"a domain cannot have {shown(value)} vcpus", f"write a number from 1 to {MAX_VCPUS}")
    return value


def _file(value: Any) -> str:
    name = _text(value, "write the file's name in quotes")
    if not name:
        raise Wrong("the file's name is empty", "write the file's name, or leave the key out where it is optional")
    return name


def _command_line(value: Any) -> str:
    text = _text(value, "write the words in one pair of quotes")
    if len(text.encode()) > MAX_COMMAND_LINE:
        raise Wrong(f"{len(text.encode())} bytes are too long for a command line", f"use at most {MAX_COMMAND_LINE}")
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"{shown(value)} is neither true nor false", "write true or false, without quotes")
    return value


def _affinity(value: Any) -> CpuSet | list[CpuSet]:
    if isinstance(value, str):
        return parse_cpus(value)
    if not isinstance(value, list):
        raise Wrong(f"{shown(value)} is not an affinity", f"write {EXAMPLES['affinity']}")
    sets = []
    for index, text in enumerate(value):
        if not isinstance(text, str):
            raise Wrong(f"{shown(text)} is not a list of CPUs", 'write CPUs in quotes, such as "0-3"', index)
        try:
            sets.append(parse_cpus(text))
        except Wrong as wrong:
            raise Wrong(f"vcpu {index}: {wrong.what}", wrong.instead, index) from None
    return sets


def _affinity_per_vcpu(affinity: CpuSet | list[CpuSet] | None, cpus: int | None) -> tuple[CpuSet, ...] | None:
    if affinity is None or cpus is None:
        return None
    if isinstance(affinity, frozenset):
        return (affinity,) * cpus
    if len(affinity) != cpus:
        raise Wrong(
            f"affinity: {len(affinity)} entries for {cpus} vcpus",
            "write one string per vcpu in the array, or a single string for all of them",
        )
    return tuple(affinity)


def _ending(value: Any) -> str:
    if value not in ENDINGS:
        raise Wrong(f"{shown(value)} is no way to go on", f"write one of {', '.join(map(shown, ENDINGS))}")
    return str(value)


def _load_base(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong(f"{shown(value)} is not an address", "write a number, such as 0x50000000")
    if value % BLOCK or not 0 <= value < MAX_ADDRESS:
        where = f"{value:#x}" if 0 <= value < 1 << 64 else shown(value)
        near = max(0, min(value, MAX_ADDRESS - BLOCK)) // BLOCK * BLOCK
        raise Wrong(f"{where} is not a physical address on a boundary of {format_size(BLOCK)}", f"write {near:#x}")
    return value


EXAMPLES = {
    "name": 'name = "linux1"',
    "memory": 'memory = "256M"',
    "cpus": "cpus = 2",
    "kernel": 'kernel = "Image"',
    "affinity": 'affinity = "0-3", or one string per vcpu: affinity = ["0", "1-3"]',
}

DOMAIN_KEYS: Mapping[str, Reader] = {
    "name": _name,
    "memory": _memory,
    "cpus": _cpus,
    "kernel": _file,
    "ramdisk": _file,
    "bootargs": _command_line,
    "vpl011": _flag,
    "on_reboot": _ending,
    "on_crash": _ending,
    "affinity": _affinity,
}
