"""What an image is made of, kept beside it as report.json and shown by `./dev build --report`: bytes by section and by
module, the largest functions, and how deep each stack may become.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from compiler.image_code import Image
from compiler.proofs import Proven

NAME = "report.json"


def write(proven: Proven, directory: Path, symbols: Mapping[str, Any]) -> None:
    (directory / NAME).write_text(json.dumps(made(proven, symbols), indent=1) + "\n")


def made(proven: Proven, symbols: Mapping[str, Any]) -> dict[str, Any]:
    """All sizes are bytes. A section's `file` bytes are loaded; the others are zeros at boot."""
    sections, modules = measured(proven.image, owners(symbols))
    python = {f["c"]: name for name, f in symbols["functions"].items()}
    functions = [
        {"name": python.get(f.name.partition(".")[0], f.name), "bytes": f.size, "frame": f.frame}
        for f in proven.image.functions.values()
    ]
    return {
        "sections": sections,
        "modules": modules,
        "functions": sorted(functions, key=lambda f: -int(f["bytes"])),
        "stacks": [
            {
                "stack": b.stack.name,
                "entry": b.entry,
                "bytes": b.bytes,
                "size": b.stack.size,
                "margin": b.stack.margin,
                "chain": [
                    {
                        "function": s.function,
                        "stack": s.stack,
                        "call": str(s.place) if s.place else None,
                        "inlined": s.inlined,
                    }
                    for s in b.chain
                ],
            }
            for b in proven.bounds
        ],
    }


def owners(symbols: Mapping[str, Any]) -> dict[str, str]:
    """The Python module of each C name."""
    return {f["c"]: f["module"] for f in symbols["functions"].values()} | {
        v["c"]: name.rpartition(".")[0] for name, v in symbols["variables"].items()
    }


def measured(code: Image, owner: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The sections, and code and data of each module. What the compiler made for all of them (per-CPU data, tables of
    interfaces) and assembly have rows of their own.
    """
    with code.path.open("rb") as file:
        image = ELFFile(file)
        loaded = {i: s for i, s in enumerate(image.iter_sections()) if s["sh_flags"] & 2}
        sections = [
            {
                "name": s.name,
                "bytes": s["sh_size"],
                "file": 0 if s["sh_type"] == "SHT_NOBITS" else s["sh_size"],
                "writable": bool(s["sh_flags"] & 1),
                "executable": bool(s["sh_flags"] & 4),
            }
            for s in loaded.values()
        ]
        sizes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        seen: set[tuple[int, int]] = set()
        for symbol in image.get_section_by_name(".symtab").iter_symbols():
            section = loaded.get(symbol["st_shndx"])
            place = (symbol["st_value"], symbol["st_size"])
            if section is None or not symbol["st_size"] or place in seen:
                continue
            seen.add(place)
            kind = "code" if section["sh_flags"] & 4 else "zeros" if section["sh_type"] == "SHT_NOBITS" else "data"
            sizes[owner.get(symbol.name.partition(".")[0], "(shared)")][kind] += symbol["st_size"]
        sizes["(assembly)"]["code"] = sum(f.size for f in code.functions.values() if not f.compiled)
    rows = [{"module": m, "code": k["code"], "data": k["data"], "zeros": k["zeros"]} for m, k in sizes.items()]
    return sections, sorted(rows, key=lambda r: (-r["code"] - r["data"], r["module"]))
