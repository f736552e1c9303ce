"""Figures side by side: what is compared, with which target, and how it is written for people and for scripts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from devtools.report import Problem

INSTRUCTIONS = "instructions"
XEN = "xen"
HEADS = ("ours", "Xen", "ratio", "target")


@dataclass(frozen=True)
class Figure:
    """Something to measure. `target` is the largest allowed ratio of our figure to Xen's, None where none is set.
    `peer` says what the other figure belongs to where that is not Xen.
    """

    name: str
    meaning: str
    unit: str = INSTRUCTIONS
    target: float | None = None
    peer: str = XEN


@dataclass(frozen=True)
class Row:
    """A figure measured on both sides; `theirs` is None when Xen has no such feature."""

    figure: Figure
    ours: int
    theirs: int | None

    @property
    def ratio(self) -> float | None:
        """Ours divided by theirs, to three decimals: what is compared with the target and written down."""
        return round(self.ours / self.theirs, 3) if self.theirs else None

    @property
    def missed(self) -> bool:
        """Whether there is a target and the ratio is above it."""
        return self.ratio is not None and self.figure.target is not None and self.ratio > self.figure.target

    def as_json(self) -> dict[str, Any]:
        figure = self.figure
        return {
            "name": figure.name,
            "unit": figure.unit,
            "ours": self.ours,
            XEN: None,
            figure.peer: self.theirs,
            "ratio": self.ratio,
            "target": figure.target,
        }


def write(path: Path, machine: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Writes the report that scripts read (docs/benchmarks.md). Problem: the file cannot be written."""
    report = {"machine": dict(machine), "rows": [row.as_json() for row in rows]}
    try:
        path.write_text(json.dumps(report, indent=2) + "\n")
    except OSError as error:
        raise Problem(f"the report cannot be written to {path}: {error.strerror}") from None


def show(machine: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Prints the table, at most 80 columns wide, and below it what was measured with what."""
    table = Table(Column("figure", overflow="fold"), *(Column(head, justify="right", no_wrap=True) for head in HEADS))
    for row in rows:
        figure = row.figure
        counted = f", {figure.unit}" if figure.unit != INSTRUCTIONS else ""
        theirs = "none" if row.theirs is None else f"{row.theirs:,}"
        if figure.peer != XEN:
            theirs += f"\n({figure.peer})"
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
        target = "" if figure.target is None else f"≤ {figure.target:g}"
        style = "" if figure.target is None else "red" if row.missed else "green"
        label = Text.assemble(figure.name, "\n", (figure.meaning + counted, "dim"))
        table.add_row(label, f"{row.ours:,}", theirs, Text(ratio, style), target)
    console = Console()
    console.print(table)
    console.print("Counts are executed instructions unless another unit is named.", highlight=False)
    for name, value in machine.items():
        console.print(f"{name}: {value}", highlight=False, soft_wrap=True)
