"""What the bench unikernel prints, read back as instructions per operation.

    BENCH clock <CNTFRQ_EL0>
    BENCH <operation> <iterations> <ticks> <ticks of the empty loop>
    DONE <domain> ok

Decimal numbers; ticks are CNTVCT_EL0 read before and after each loop; the empty loop differs only in that the
operation is missing. A hypervisor may put its own prefix before a line. docs/benchmarks.md has the whole agreement.
"""

import re

from devtools.report import Problem

CLOCK = re.compile(r"\bBENCH clock (\d+)\s*$", re.MULTILINE)
LOOP = re.compile(r"\bBENCH ([a-z0-9_]+) (\d+) (\d+) (\d+)\s*$", re.MULTILINE)
ENDED = re.compile(r"\bDONE \S+ (ok|fail[^\r\n]*)\r?\n")
INSTRUCTIONS_PER_SECOND = 1_000_000_000  # -icount shift=0: one instruction each nanosecond of virtual time


def instructions(text: str) -> dict[str, int]:
    """Instructions per operation, rounded, from everything that a run printed. Problem: the agreement was broken."""
    end = ENDED.search(text)
    if end is None or end[1] != "ok":
        how = f"with {end[0].strip()!r}" if end else "without a word"
        raise Problem(f"the bench unikernel ended {how} where 'DONE bench ok' was expected", 1)
    clock = CLOCK.search(text)
    if clock is None or int(clock[1]) == 0:
        raise Problem("the bench unikernel printed no 'BENCH clock <CNTFRQ_EL0>'", 1)
    per_tick = INSTRUCTIONS_PER_SECOND / int(clock[1])
    found: dict[str, int] = {}
    for operation, iterations, ticks, empty in LOOP.findall(text):
        if operation in found:
            raise Problem(f"the bench unikernel printed 'BENCH {operation}' twice", 1)
        if int(iterations) == 0 or int(ticks) < int(empty):
            raise Problem(
                f"'BENCH {operation} {iterations} {ticks} {empty}' cannot be: the empty loop is the shorter", 1
            )
        found[operation] = round((int(ticks) - int(empty)) * per_tick / int(iterations))
    return found
