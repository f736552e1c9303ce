"""`./dev build --report`: what the image is made of and how deep its stacks may become, from the report.json that the
link leaves beside hv.elf (compiler/report.py).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

LARGEST = 20
WIDTH = 160  # where the output is no terminal, in characters
NAME = "report.json"


def read(folder: Path) -> dict[str, Any]:
    """The report of the image in a build folder."""
    report: dict[str, Any] = json.loads((folder / "hv" / NAME).read_text())
    report["image"] = (folder / "hv.image").stat().st_size
    return report


def summary(report: Mapping[str, Any]) -> str:
    """The image's size in a line: what is loaded, and what it takes besides once it runs."""
    loaded = [f"{s['file']:,} of {s['name']}" for s in report["sections"] if s["file"]]
    zeros = sum(s["bytes"] - s["file"] for s in report["sections"])
    size = f"{report['image']:,} bytes, {report['image'] / 1024:.0f} KiB"
    return f"the image has {size} ({', '.join(loaded)}), and takes {zeros:,} more in memory"


def show(report: Mapping[str, Any], console: Console) -> None:
    for made in (sections(report), modules(report), functions(report), *stacks(report)):
        title, made.title = made.title, None  # a table's own title wraps at the table's width
        console.print(title, style="bold", highlight=False)
        console.print(made)
        console.print()


def table(title: str, *columns: str) -> Table:
    """The first column is text, the others are numbers."""
    made = Table(title=title, box=None, pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if i else "left", no_wrap=True)
    return made


def sections(report: Mapping[str, Any]) -> Table:
    made = table(f"Sections; hv.image has {report['image']:,} bytes", "section", "bytes", "in the file", "rights")
    for s in report["sections"]:
        rights = f"r{'w' if s['writable'] else '-'}{'x' if s['executable'] else '-'}"
        made.add_row(s["name"], f"{s['bytes']:,}", f"{s['file']:,}", rights)
    return made


def modules(report: Mapping[str, Any]) -> Table:
    made = table("Modules, in bytes", "module", "code", "data", "zeros")
    for m in report["modules"]:
        made.add_row(m["module"], *(f"{m[kind]:,}" for kind in ("code", "data", "zeros")))
    made.add_row("all", *(f"{sum(m[kind] for m in report['modules']):,}" for kind in ("code", "data", "zeros")))
    return made


def functions(report: Mapping[str, Any]) -> Table:
    made = table(f"The {LARGEST} largest functions, in bytes", "function", "code", "frame")
    for f in report["functions"][:LARGEST]:
        made.add_row(f["name"], f"{f['bytes']:,}", f"{f['frame']:,}")
    return made


def stacks(report: Mapping[str, Any]) -> list[Table]:
    """How deep each entry's stack gets, and the deepest chain of each stack."""
    made = table("Stacks, in bytes", "entry", "stack", "deepest", "of", "free")
    deepest: dict[str, Mapping[str, Any]] = {}
    for s in report["stacks"]:
        made.add_row(s["entry"], s["stack"], f"{s['bytes']:,}", f"{s['size']:,}", f"{s['size'] - s['bytes']:,}")
        if s["bytes"] > deepest.get(s["stack"], {"bytes": -1})["bytes"]:
            deepest[s["stack"]] = s
    chains = []
    for name, s in deepest.items():
        chain = table(f"Deepest chain of the stack `{name}`", "function", "in use", "calls at")
        for step in s["chain"]:
            indent = "  " if step["inlined"] else ""
            chain.add_row(f"{indent}{step['function']}", f"{step['stack']:,}", step["call"] or "")
        chains.append(chain)
    return [made, *chains]
