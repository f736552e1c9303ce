"""The memory and CPU map of a partition file: as text for a terminal, and as SVG.

Both draw the same rows: the machine's memory and devices as far as anything has a place there, what each guest finds at
which address, and which CPUs may run which vCPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tools.partition.machine import Region, page_region
from tools.partition.model import KIB, Domain, Given, Load, format_size
from tools.partition.partition import Partition, Plan

COLORS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f")
OURS, FREE = "#8c8c8c", "#f2f2f2"


@dataclass(frozen=True, order=True)
class Row:
    """A range of addresses, whose it is, and the line that says so. Without owner it is free."""

    start: int
    end: int
    what: str
    owner: str = ""
    line: int = 0

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Map:
    """title -> rows, ascending; CPUs: how many, None when no machine says so; and the vCPUs of each domain."""

    columns: Mapping[str, list[Row]]
    cpus: int
    domains: Sequence[Domain]
    file: str

    def color(self, owner: str) -> str:
        names = [domain.name for domain in self.domains]
        return COLORS[names.index(owner) % len(COLORS)] if owner in names else OURS if owner else FREE


def draw_map(partition: Partition, plan: Plan, loads: Iterable[Load] = ()) -> Map:
    columns = {}
    machine = plan.machine
    if machine is not None:
        columns["machine"] = _machine_rows(partition, plan, loads)
    for domain in partition.domains:
        given = plan.given[domain.name]
        columns[domain.name] = [Row(each.start, each.end, _described(each), domain.name, each.line) for each in given]
    named = {cpu for domain in partition.domains for cpus in domain.affinity or () for cpu in cpus}
    cpus = machine.cpus if machine is not None else max(named, default=-1) + 1
    return Map(columns, cpus, partition.domains, partition.path.name)


def _described(given: Given) -> str:
    return given.what if given.host is None else f"{given.what} (machine: {given.host:#x})"


def _machine_rows(partition: Partition, plan: Plan, loads: Iterable[Load]) -> list[Row]:
    machine = plan.machine
    assert machine is not None, "drawn without a machine"
    rows = [Row(each.start, each.end, each.what, "hypervisor") for each in machine.reserved]
    for span in plan.spans:
        rows.append(Row(span.start, span.end, span.what, _owner_of(partition, span), span.line))
    rows += [Row(load.address, load.address + load.size, load.path.name, load.domain or "file") for load in loads]
    for name, devices in plan.devices.items():
        for each in devices:
            line = each.device.line("path")
            for part in each.parts:
                pairs = zip(part.regions, part.places, strict=True)
                pages = [page_region(region) for region, place in pairs if place is not None]
                rows += [Row(page.start, page.end, page.what, name, line) for page in pages]
    free = [Row(*gap, "free") for bank in machine.banks for gap in _gaps(bank, rows)]
    return sorted(set(rows + free))


def _owner_of(partition: Partition, span: Region) -> str:
    """Whose memory it is."""
    for domain in partition.domains:
        if any(span.start == part.start for part in domain.static_memory):
            return domain.name
    for region in partition.shared:
        if region.at == span.start:
            return region.owner or "hypervisor"
    return "hypervisor"


def _gaps(bank: Region, rows: Iterable[Row]) -> Iterable[tuple[int, int]]:
    """What of a bank no row has."""
    at = bank.start
    for row in sorted(rows):
        if bank.start <= row.start < bank.end:
            if row.start > at:
                yield at, row.start
            at = max(at, row.end)
    if at < bank.end:
        yield at, bank.end


# Text


def as_text(drawn: Map, width: int = 120) -> str:
    """For a terminal or a file, without colours."""
    console = Console(width=width, no_color=True, highlight=False, markup=False, emoji=False, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable(drawn))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def renderable(drawn: Map) -> RenderableType:
    """What rich prints."""
    parts: list[RenderableType] = [_cpu_table(drawn)]
    for title, rows in drawn.columns.items():
        table = Table("from", "to", "size", "what", "whose", "line", title=title, title_justify="left")
        for row in rows:
            line = f"{drawn.file}:{row.line}" if row.line else ""
            whose = Text(row.owner, style=drawn.color(row.owner) if row.owner else "")
            table.add_row(f"{row.start:#x}", f"{row.end:#x}", format_size(row.size), Text(row.what), whose, line)
        parts.append(table)
    return Group(*parts)


def _cpu_table(drawn: Map) -> Table:
    """A row for each vCPU, a column for each CPU."""
    table = Table("domain", "vCPU", "memory", *map(str, range(drawn.cpus)), title="CPUs", title_justify="left")
    for domain in drawn.domains:
        sets = domain.affinity or (None,)
        alike = len(set(sets)) == 1
        for number, cpus in enumerate(sets[:1] if alike else sets):
            marks = ["#" if cpus is None or cpu in cpus else "." for cpu in range(drawn.cpus)]
            which = f"0-{domain.cpus - 1}" if alike and domain.cpus > 1 else str(number)
            name = Text(domain.name, style=drawn.color(domain.name)) if number == 0 else Text()
            table.add_row(name, which, format_size(domain.memory * KIB) if number == 0 else "", *marks)
    return table


# SVG

COLUMN, GUTTER, HEAD, CELL = 330, 30, 40, 18


def as_svg(drawn: Map) -> str:
    """A picture by itself, for a browser."""
    body: list[str] = []
    height = 0
    for index, (title, rows) in enumerate(drawn.columns.items()):
        left = GUTTER + index * (COLUMN + GUTTER)
        height = max(height, _draw_column(body, drawn, left, title, rows))
    height = _draw_cpus(body, drawn, height + HEAD)
    grid = GUTTER + 180 + drawn.cpus * CELL
    width = max(GUTTER + len(drawn.columns) * (COLUMN + GUTTER), grid + GUTTER)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + GUTTER}" '
        f'viewBox="0 0 {width} {height + GUTTER}" font-family="sans-serif" font-size="11">'
    )
    back = f'<rect width="{width}" height="{height + GUTTER}" fill="white"/>'
    return "\n".join([head, f"<title>{escape(drawn.file)}</title>", back, *body, "</svg>", ""])


def _draw_column(body: list[str], drawn: Map, left: int, title: str, rows: Sequence[Row]) -> int:
    """A box for each row; their heights grow with the logarithm of their sizes. Returns where the column ends."""
    body.append(f'<text x="{left}" y="26" font-size="15" font-weight="bold">{escape(title)}</text>')
    top = HEAD
    for before, row in zip([None, *rows], rows, strict=False):
        if before is not None and row.start > before.end:
            top += 8  # addresses that nobody has
        height = 20 + round(3 * max(0.0, math.log2(row.size / (64 * KIB)))) if row.size else 20
        fill = drawn.color(row.owner)
        where = f" ({drawn.file}:{row.line})" if row.line else ""
        tip = f"{row.start:#x}-{row.end:#x} {row.what}{where}"
        body.append(
            f'<g><title>{escape(tip)}</title><rect x="{left}" y="{top}" width="{COLUMN}" height="{height}" '
            f'fill="{fill}" fill-opacity="0.55" stroke="#555"/>'
            f'<text x="{left + 4}" y="{top + 14}">{row.start:#x} '
            f'<tspan font-weight="bold">{format_size(row.size)}</tspan> {escape(_short(row.what))}</text></g>'
        )
        top += height
    return top


def _short(what: str) -> str:
    return what if len(what) <= 34 else f"...{what[-31:]}"


def _draw_cpus(body: list[str], drawn: Map, top: int) -> int:
    """A grid: domains' vCPUs down, CPUs across."""
    body.append(f'<text x="{GUTTER}" y="{top}" font-size="15" font-weight="bold">CPUs</text>')
    left = GUTTER + 180
    for cpu in range(drawn.cpus):
        body.append(f'<text x="{left + cpu * CELL + 4}" y="{top}">{cpu}</text>')
    top += 8
    for domain in drawn.domains:
        for number, cpus in enumerate(domain.affinity or [None] * domain.cpus):
            body.append(f'<text x="{GUTTER}" y="{top + 13}">{escape(domain.name)} vCPU {number}</text>')
            for cpu in range(drawn.cpus):
                fill = drawn.color(domain.name) if cpus is None or cpu in cpus else FREE
                body.append(
                    f'<rect x="{left + cpu * CELL}" y="{top}" width="{CELL - 2}" height="{CELL - 2}" fill="{fill}"/>'
                )
            top += CELL
    return top
