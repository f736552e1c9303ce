"""Panics and the source: what a backtrace must say of each fault that `crash=` makes, looked up in the source."""

import re
from dataclasses import dataclass

from devtools.machine import Machine
from devtools.paths import ROOT

CRASH = "hv/common/kernel/crash.py"
KINDS = {
    "assert": "assert table.entries",
    "panic": "panic(",
    "index": "table.entries[4",
    "range": "table.entries[0] = u64(u8",
    "null": "ptr[Table](",
    "read": "table.entries[0] = ptr[u64](",
    "write": "ptr[u64](symbol",
    "execute": "ptr[Indirect](",
    "overflow": "deep.call()",
}
"""How the line of crash.py begins that makes the fault, or that calls what makes it."""
HANG = "while freed.load()"
"""How the line of crash.py begins where a CPU hangs on purpose."""


def line_of(path: str, beginning: str) -> int:
    """The number of the one line of a source that begins so."""
    lines = (ROOT / path).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if line.strip().startswith(beginning)]
    return number


@dataclass(frozen=True)
class Panic:
    """What a panic printed: its reason, and the places of its backtrace from the innermost on."""

    reason: str
    places: list[tuple[str, int]]


def panic_of(machine: Machine, seconds: float) -> Panic:
    """Waits for a panic with `noreboot` on the command line, and for its end."""
    machine.expect(re.compile(r"\(hv\) PANIC on CPU \d+\s"), seconds)
    reason = machine.expect(re.compile(r"\(hv\) [^\r\n]+[\r\n]"), seconds).strip().removeprefix("(hv) ")
    machine.expect("(hv) halted", seconds)
    assert machine.output.count("PANIC on CPU") == 1
    said = machine.output.partition("PANIC on CPU")[2]
    found = re.findall(r"^\(hv\)   0x[0-9a-f]+ (\S+):(\d+)\r?$", said, re.MULTILINE)
    return Panic(reason, [(path, int(line)) for path, line in found])


def check(panic: Panic, kind: str, main: str) -> None:
    """The line that faulted, or that called what did, and around it the call in `main`, and that of the entry."""
    fault = (CRASH, line_of(CRASH, KINDS[kind]))
    call = (main, line_of(main, "crash_if_asked("))
    assert fault in panic.places, f"no {fault} in {panic.places}"
    at = panic.places.index(fault)
    assert panic.places[at + 1] == call, f"{fault} is not called from {call}: {panic.places}"
    entry, line = panic.places[at + 2]
    text = (ROOT / entry).read_text().splitlines()[line - 1].split()
    assert entry.endswith("entry.S") and text[0] in ("bl", "call") and text[1] == "initialise", (
        f"{entry}:{line}: {text}"
    )
    if kind == "assert":
        assert panic.reason.startswith(f"{CRASH}:{fault[1]}: ")
