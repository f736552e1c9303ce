"""What a C compiler makes of the types in public headers, read from the DWARF of an object."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from compiler.driver import CLANG

TRIPLES = {"x86_64": "x86_64-linux-gnu", "i386": "i386-linux-gnu", "aarch64": "aarch64-linux-gnu"}


@dataclass(frozen=True)
class Structure:
    size: int
    fields: dict[str, tuple[int, int]]  # offset and size, by name; of members without a name their members


def structures(source: str, names: Iterable[str], machine: str, *flags: str) -> dict[str, Structure]:
    """The layouts of types that C source names, for a machine."""
    names = list(names)
    text = source + "".join(f"{name} cx_wanted_{i};\n" for i, name in enumerate(names))
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "types.o"
        command = [CLANG, f"--target={TRIPLES[machine]}", "-ffreestanding", "-w", "-g", "-gdwarf-4", *flags]
        done = subprocess.run(
            [*command, "-x", "c", "-", "-c", "-o", str(made)], input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        with made.open("rb") as file:
            found = dict(_variables(ELFFile(file)))
    return {name: found[f"cx_wanted_{i}"] for i, name in enumerate(names)}


def _variables(elf: ELFFile) -> Iterable[tuple[str, Structure]]:
    for unit in elf.get_dwarf_info().iter_CUs():
        for die in unit.get_top_DIE().iter_children():
            if die.tag == "DW_TAG_variable" and "DW_AT_name" in die.attributes:
                kind = _plain(die.get_DIE_from_attribute("DW_AT_type"))
                yield die.attributes["DW_AT_name"].value.decode(), Structure(_size(kind), dict(_members(kind, 0)))


def _plain(die: Any) -> Any:
    while die.tag in ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type"):
        die = die.get_DIE_from_attribute("DW_AT_type")
    return die


def _size(die: Any) -> int:
    die = _plain(die)
    if die.tag == "DW_TAG_array_type":
        count = 1
        for child in die.iter_children():
            if child.tag == "DW_TAG_subrange_type":
                bound = child.attributes.get("DW_AT_count")
                count *= bound.value if bound is not None else 0
        return count * _size(die.get_DIE_from_attribute("DW_AT_type"))
    if die.tag == "DW_TAG_pointer_type" and "DW_AT_byte_size" not in die.attributes:
        return int(die.cu["address_size"])
    return int(die.attributes["DW_AT_byte_size"].value)


def _members(die: Any, base: int) -> Iterable[tuple[str, tuple[int, int]]]:
    for member in die.iter_children():
        if member.tag != "DW_TAG_member":
            continue
        offset = member.attributes.get("DW_AT_data_member_location")
        start = base + (offset.value if offset is not None else 0)
        kind = member.get_DIE_from_attribute("DW_AT_type")
        if "DW_AT_name" in member.attributes:
            yield member.attributes["DW_AT_name"].value.decode(), (start, _size(kind))
        else:
            yield from _members(_plain(kind), start)
