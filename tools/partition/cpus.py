"""Sets of physical CPU numbers in the notation of the bindings' `hard-affinity`: "0-3,5"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tools.partition.mistakes import Wrong, shown

CpuSet = frozenset[int]

MAX_CPU_NUMBER = 4095


def parse_cpus(text: str) -> CpuSet:
    """CPU numbers in the bindings' notation, such as "0-3,5". Wrong: malformed, or a number beyond any machine."""
    cpus: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part)
        if not match:
            plain = re.sub(r"\s", "", text)
            better = f'"{plain}"' if plain != text and plain else '"0-3,5"'
            raise Wrong(f"{shown(text)} is not a list of CPUs", f"write numbers and ranges, such as {better}")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise Wrong(f'the range "{part}" runs backwards', f'write "{last}-{first}"')
        if last > MAX_CPU_NUMBER:
            raise Wrong(f"no machine has a CPU {last}", "count the machine's CPUs from 0")
        cpus.update(range(first, last + 1))
    return frozenset(cpus)


def format_cpus(cpus: Iterable[int]) -> str:
    """A set of CPU numbers in the bindings' notation: ascending, runs as ranges ("0-3,5")."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], cpu]
        else:
            runs.append([cpu])
    return ",".join("-".join(map(str, run)) for run in runs)
