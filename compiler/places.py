"""Where addresses of an image come from: Python functions, files and lines, inlined ones first (llvm-symbolizer)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from compiler.errors import ImageError

SYMBOLIZER = "llvm-symbolizer-19"


@dataclass(frozen=True)
class Place:
    """A line of a function; the function has its C name."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        """Line 0 is code of several lines, or of none."""
        return f"{self.file}:{self.line}" if self.line else self.file


def places(elf: Path, addresses: Iterable[int]) -> dict[int, list[Place]]:
    """The places of each address: where the instruction was written, where that function was inlined, and so on."""
    wanted = sorted(set(addresses))
    if not wanted:
        return {}
    command = [SYMBOLIZER, f"--obj={elf}", "--output-style=JSON", "--inlines", "--no-demangle"]
    done = subprocess.run(command, input="\n".join(map(hex, wanted)), capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line]
    if done.returncode != 0 or len(rows) != len(wanted):
        raise ImageError(f"{SYMBOLIZER} could not read {elf.name}: {done.stderr.strip()}")
    folders = compilation_folders(elf)
    return {
        address: [_place(s, folders) for s in row.get("Symbol", [])] for address, row in zip(wanted, rows, strict=True)
    }


def compilation_folders(elf: Path) -> set[str]:
    """The folders that the image was compiled in, to which names of sources are relative."""
    with elf.open("rb") as file:
        image = ELFFile(file)
        if not image.has_dwarf_info():
            return set()
        tops = (unit.get_top_DIE().attributes for unit in image.get_dwarf_info().iter_CUs())
        return {top["DW_AT_comp_dir"].value.decode() for top in tops if "DW_AT_comp_dir" in top}


def _place(symbol: dict[str, object], folders: set[str]) -> Place:
    file = str(symbol.get("FileName", ""))
    folder = max((f for f in folders if file.startswith(f + os.sep)), key=len, default=None)
    if folder is not None:
        file = file[len(folder) + 1 :]
    return Place(str(symbol.get("FunctionName", "")), file, int(str(symbol.get("Line", 0))))
