"""The command line of `./dev bench`: which figures, where Xen's come from, and what the exit status says."""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from devtools.bench import arm64, boot, linux, rows, x86
from devtools.bench.peer import Recording
from devtools.bench.rows import Figure, Row
from devtools.report import Problem, progress


class Set(Protocol):
    """Figures that are measured together. A side is whatever `ours` and `theirs` say of a hypervisor."""

    @property
    def FIGURES(self) -> tuple[Figure, ...]: ...

    def ours(self) -> Any: ...

    def theirs(self) -> Any: ...

    def versions(self, with_xen: bool) -> dict[str, str]: ...

    def measure(self, side: Any, wanted: Collection[Figure], /) -> Mapping[Figure, int]: ...


SETS: dict[str, Set] = {"arm64": arm64, "boot": boot, "linux": linux, "x86": x86}


def main(argv: Sequence[str]) -> int:
    """0: all targets are met. 1: one is missed, or a hypervisor did not do what it takes. 2: could not start."""
    arguments = parse(argv)
    chosen = SETS[arguments.set]
    figures = select(chosen.FIGURES, arguments.only)
    if arguments.record:
        return record(arguments.set)
    theirs: Mapping[Figure, int | None]
    mine = chosen.measure(chosen.ours(), figures)
    if arguments.recorded:
        recording = Recording.read(arguments.set)
        now = chosen.versions(with_xen=False)
        for difference in recording.differences(now):
            progress(f"the ratios are off if this matters: Xen's figures were {difference}")
        theirs = {figure: recording.figure(figure.name) for figure in figures}
        machine = now | {"xen": f"{recording.versions['xen']}, recorded"}
    else:
        theirs = chosen.measure(chosen.theirs(), figures)
        machine = chosen.versions(with_xen=True)
    table = [Row(figure, mine[figure], theirs[figure]) for figure in figures]
    rows.show(machine, table)
    if arguments.json:
        rows.write(Path(arguments.json), machine, table)
    missed = [row.figure.name for row in table if row.missed]
    if missed:
        print(f"dev: above the target: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description="Measures this hypervisor and Debian's Xen with the same guests in the same emulator, in executed"
        " instructions. Exit status: 0 when the targets are met, 1 when one is missed, 2 when it could not start.",
    )
    parser.add_argument("set", nargs="?", choices=tuple(SETS), default="arm64", help="what to measure (arm64)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="only this figure; repeatable")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--recorded", action="store_true", help="take Xen's figures from an earlier run")
    source.add_argument("--record", action="store_true", help="measure only Xen, and keep its figures for --recorded")
    arguments = parser.parse_args(argv)
    if arguments.record and (arguments.only or arguments.json):
        parser.error("--record measures every figure of Xen and keeps them: leave --only and --json out")
    return arguments


def select(figures: Sequence[Figure], names: Sequence[str]) -> list[Figure]:
    """The figures named, with or without the set before the dot; all without a name. Problem: there is none such."""
    by_name = {name: figure for figure in figures for name in (figure.name, figure.name.partition(".")[2])}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        known = ", ".join(figure.name for figure in figures)
        raise Problem(f"--only {unknown[0]}: there is no such figure; write one of {known}")
    wanted = [by_name[name] for name in names]
    return [figure for figure in figures if figure in wanted or not wanted]


def record(name: str) -> int:
    chosen = SETS[name]
    measured = chosen.measure(chosen.theirs(), chosen.FIGURES)
    recording = Recording(chosen.versions(with_xen=True), {figure.name: count for figure, count in measured.items()})
    recording.write(name)
    for figure, count in measured.items():
        print(f"{figure.name}: {count:,} {figure.unit}")
    return 0
