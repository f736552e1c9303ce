"""The table of addresses and source lines that an image carries for its backtraces, made from its DWARF.

The format stands in hv/common/kernel/symbols.py, which reads the table. It takes about 2.5 bytes a row: neighbouring
rows mostly differ by a few instructions and a few lines, and say the same file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.dwarf.lineprogram import LineProgram
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

UNITS = {"EM_AARCH64": 4, "EM_X86_64": 1}
SOURCES = (".py", ".S")


@dataclass(frozen=True, order=True)
class Row:
    """From `address` on, code comes from this line; file None: from no line that is known."""

    address: int
    file: str | None
    line: int


def uleb(number: int) -> bytes:
    """Unsigned LEB128 (DWARF 5, 7.6)."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def simplified(rows: Iterable[Row]) -> list[Row]:
    """By address, one row for each, and only those that change something. Of rows at one address the last holds."""
    last: dict[int, Row] = {row.address: row for row in rows}
    kept: list[Row] = []
    for address in sorted(last):
        row = last[address]
        if row.file is None:
            row = Row(address, None, 0)
        before = kept[-1] if kept else Row(0, None, 0)
        if (row.file, row.line) != (before.file, before.line):
            kept.append(row)
    return kept


def encode(rows: Iterable[Row], base: int, unit: int) -> bytes:
    """The table, for addresses counted from `base` in multiples of `unit`."""
    kept = simplified(rows)
    files = list(dict.fromkeys(row.file for row in kept if row.file is not None))
    numbers: dict[str | None, int] = {None: 0} | {name: i for i, name in enumerate(files, start=1)}
    made = bytearray(uleb(unit) + uleb(len(files)))
    for name in files:
        made += uleb(len(name.encode())) + name.encode()
    made += uleb(len(kept))
    address, file, line = base, 0, 0
    for row in kept:
        number = numbers[row.file]
        steps, rest = divmod(row.address - address, unit)
        if rest:
            raise ValueError(f"{row.file}:{row.line}: code at {row.address:#x}, which is no multiple of {unit}")
        made += uleb(2 * steps + (number != file))
        if number != file:
            made += uleb(number)
        made += uleb(zigzag(row.line - line))
        address, file, line = row.address, number, row.line
    return bytes(made)


def encode_elf(elf: Path) -> bytes:
    """The table for an image's .text, from its DWARF. ValueError: it has none, or is for a machine that is not known
    here.
    """
    with elf.open("rb") as file:
        image = ELFFile(file)
        unit = UNITS.get(image["e_machine"])
        if unit is None:
            raise ValueError(f"{elf}: no line table for {image['e_machine']}: known are {', '.join(UNITS)}")
        if not image.has_dwarf_info():
            raise ValueError(f"{elf}: no DWARF: compile with -g")
        text = image.get_section_by_name(".text")
        if text is None:
            raise ValueError(f"{elf}: no .text")
        start, end = text["sh_addr"], text["sh_addr"] + text["sh_size"]
        rows = without_generated(dwarf_rows(image), function_starts(image))
        return encode((row for row in rows if start <= row.address <= end), start, unit)


def function_starts(image: ELFFile) -> frozenset[int]:
    symbols = image.get_section_by_name(".symtab")
    if not isinstance(symbols, SymbolTableSection):
        return frozenset()
    return frozenset(s["st_value"] for s in symbols.iter_symbols() if s["st_info"]["type"] == "STT_FUNC")


def without_generated(rows: Iterable[Row], functions: frozenset[int]) -> Iterator[Row]:
    """Leaves out rows of generated files: inside a function the row before holds on, one of theirs has no line."""
    given = list(rows)
    for row in given:
        if not written_by_people(row) and row.address in functions:
            yield Row(row.address, None, 0)
    for row in given:
        if written_by_people(row):
            yield row


def written_by_people(row: Row) -> bool:
    """Also true of the end of a sequence, which is in no file."""
    return row.file is None or row.file.endswith(SOURCES)


def dwarf_rows(image: ELFFile) -> Iterator[Row]:
    """The rows of all line programs. A sequence's end comes before rows that begin at the same address."""
    begun: list[Row] = []
    dwarf = image.get_dwarf_info()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        names = FileNames(program, unit.get_top_DIE().attributes)
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if state.end_sequence:
                yield Row(state.address, None, 0)
            elif state.line != 0:  # a line 0 is code of the compiler's own: it counts to the line before
                begun.append(Row(state.address, names[state.file], state.line))
    yield from begun


class FileNames:
    """The names of a line program's files: relative to the directory of the compilation where they lie below it."""

    def __init__(self, program: LineProgram, attributes: dict[str, object]) -> None:
        self.program = program
        self.first = 0 if program["version"] >= 5 else 1
        directory = attributes.get("DW_AT_comp_dir")
        self.root = directory.value.decode() if directory is not None else ""  # type: ignore[attr-defined]
        self.known: dict[int, str] = {}

    def __getitem__(self, number: int) -> str:
        if number not in self.known:
            self.known[number] = self._name(number)
        return self.known[number]

    def _name(self, number: int) -> str:
        entry = self.program["file_entry"][number - self.first]
        directories = self.program["include_directory"]
        name = entry.name.decode()
        # Before DWARF 5, directory 0 is that of the compilation and is not listed.
        listed = entry.dir_index if self.first == 0 else entry.dir_index - 1
        directory = directories[listed].decode() if 0 <= listed < len(directories) else self.root
        path = os.path.normpath(os.path.join(self.root, directory, name))
        return os.path.relpath(path, self.root) if self.root and path.startswith(self.root + os.sep) else path
