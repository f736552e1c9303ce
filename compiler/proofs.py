"""What is proven of each image after its link, from the ELF file alone and from boot/ARCHITECTURE/proofs.toml, which
says what cannot be read there.

Of every image: no segment is writable and executable, nothing is undefined, no relocation is left. Of the hypervisor
also: no code but the listed stubs touches floating-point or vector registers, so a guest's may stay in the CPU while
the hypervisor runs; and every stack is large enough (compiler/stacks.py).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from compiler import stacks
from compiler.errors import ImageError
from compiler.image_code import Image
from compiler.places import places

FILE = "proofs.toml"
WRITABLE, EXECUTABLE = 2, 1  # of a segment's flags


@dataclass(frozen=True)
class Rules:
    """proofs.toml with its names resolved to numbers."""

    floating_point: frozenset[str] = frozenset()
    too_deep_on_purpose: frozenset[str] = frozenset()
    stacks: list[stacks.Stack] = field(default_factory=list)


@dataclass(frozen=True)
class Proven:
    """What the proofs found out on their way."""

    image: Image
    bounds: list[stacks.Bound]


def structure(elf: Path) -> None:
    """Segments, symbols and relocations. Raises ImageError."""
    with elf.open("rb") as file:
        image = ELFFile(file)
        for segment in image.iter_segments():
            flags = segment["p_flags"]
            if segment["p_type"] == "PT_LOAD" and flags & WRITABLE and flags & EXECUTABLE:
                raise ImageError(f"{elf.name}: the segment at {segment['p_vaddr']:#x} is writable and executable")
        for section in image.iter_sections():
            if section["sh_type"] in ("SHT_REL", "SHT_RELA", "SHT_RELR") and section["sh_size"]:
                raise ImageError(f"{elf.name}: relocations are left in {section.name}")
            if section["sh_type"] in ("SHT_SYMTAB", "SHT_DYNSYM"):
                for symbol in section.iter_symbols():
                    if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name:
                        raise ImageError(f"{elf.name}: {symbol.name} is undefined")


def hypervisor(elf: Path, boot: Path, symbols: Mapping[str, Any], offsets: Path) -> Proven:
    """All proofs. `symbols` is the compiler's symbols.json, `offsets` the image's asm_offsets.h. Raises ImageError."""
    structure(elf)
    rules = read(boot / FILE, symbols["constants"], offsets.read_text())
    image = Image(elf, [f["c"] for f in symbols["functions"].values() if f["never"]])
    image.analyse()
    for name in rules.too_deep_on_purpose:
        if name in image.symbols:
            image.functions[image.symbols[name]].uncounted = True
    found = stacks.bounds(image, rules.stacks, symbols)
    stacks.prove(found)
    without_vectors(image, rules.floating_point)
    return Proven(image, found)


def without_vectors(image: Image, allowed: frozenset[str]) -> None:
    """No floating-point or vector register outside the functions that may. On x86, where nothing tells data and 16-bit
    code from the rest of assembly, of assembly only what was followed.
    """
    for address, instruction in image.instructions.items():
        if image.architecture.vector(instruction):
            function = image.function_at(address)
            is_code = function.compiled or image.architecture.data_is_marked or address in image.visited
            if is_code and function.name not in allowed:
                where = next(iter(places(image.path, [address])[address]), None)
                raise ImageError(
                    f"{image.name}: `{instruction}` in {function.name}{f' ({where})' if where else ''} uses a "
                    f"floating-point or vector register, which is a guest's; {FILE} lists the functions that may"
                )


KEYS = {"floating_point", "too_deep_on_purpose", "margin", "stacks"}
STACK_KEYS = {"size", "entries", "interrupt", "fault"}


def read(path: Path, constants: Mapping[str, int], offsets: str) -> Rules:
    """The rules of a file. Raises ImageError with the file's name and what is wrong."""
    try:
        table = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ImageError(f"there is no {path}: the proofs need to know the stacks that assembly enters") from None
    except tomllib.TOMLDecodeError as error:
        raise ImageError(f"{path}: not TOML: {error}") from None
    _known(path, table, KEYS)
    named = {name: int(value) for name, value in re.findall(r"#define (\w+) (\d+)", offsets)} | dict(constants)

    def bytes_of(value: object) -> int:
        if isinstance(value, int):
            return value
        if value not in named:
            raise ImageError(f"{path}: {value!r} is no constant of the program and not in asm_offsets.h")
        return named[str(value)]

    def built_in(text: str) -> bool:
        """Of an entry "… if NAME": the program has NAME, as the configuration left it."""
        condition = text.partition(" if ")[2]
        return not condition or condition in named

    def entry(text: str) -> tuple[str, int]:
        function, _, below = text.partition(" if ")[0].partition(" below ")
        return function, bytes_of(int(below) if below.isdigit() else below) if below else 0

    found = []
    for name, stack in table.get("stacks", {}).items():
        _known(path, stack, STACK_KEYS)
        entries = dict(entry(text) for text in stack.get("entries", []) if built_in(text))
        interrupt, below = entry(stack["interrupt"]) if "interrupt" in stack else (None, 0)
        fault, fault_below = entry(stack["fault"]) if "fault" in stack else (None, 0)
        size = bytes_of(stack.get("size", 0))
        margin = table.get("margin", 0)
        found.append(stacks.Stack(name, size, margin, entries, interrupt, below, fault, fault_below))
    return Rules(frozenset(table.get("floating_point", ())), frozenset(table.get("too_deep_on_purpose", ())), found)


def _known(path: Path, table: Mapping[str, object], keys: set[str]) -> None:
    for key in table:
        if key not in keys:
            raise ImageError(f"{path}: unknown key {key!r}, write one of {', '.join(sorted(keys))}")
