"""The models of walkers and TLBs in the compiled library (hv/sim/walker.py)."""

from __future__ import annotations

from typing import Any

from compiler.hostbuild import Library

WALKER = "hv.sim.walker."
VIOLATIONS = ("none", "no break", "stale", "reused", "linked early", "full", "bad entry", "stale translation used")
STATE = ("hv.sim.visibility.seen", "hv.sim.visibility.visibility", "hv.sim.known_tables.known", "hv.sim.tlb.tlbs")
HYPERVISOR, GUEST, LONG_MODE, NESTED = 1, 2, 3, 4  # stages
READ, WRITE, FETCH, USER = 1, 2, 4, 8  # what an access asks for
OK, ABSENT, RESERVED, NOT_ACCESSED, DENIED = range(5)  # faults


class Walkers:
    """One power-on of them: Arm's, that snoop, with every part of the protocol."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.rules = library.variable("hv.sim.changes.rules")
        self.visibility = library.variable("hv.sim.visibility.visibility")
        self.tlbs = library.variable("hv.sim.tlb.tlbs")
        self.violations = library.variable("hv.sim.violations.violations")
        self.call("power_on")
        self.call("be_arm")
        self.visibility.snoops = True
        self.visibility.drop_publish = self.visibility.drop_clean = False
        self.tlbs.drop_invalidate = self.tlbs.drop_remote = False

    def call(self, name: str, *arguments: Any) -> Any:
        return self.library.call(WALKER + name, *arguments)

    def drop(self, part: str) -> None:
        """Takes a part of the protocol away: publish, clean, invalidate or remote."""
        setattr(self.visibility if part in ("publish", "clean") else self.tlbs, f"drop_{part}", True)

    def violation(self) -> str:
        """What was found first, and where; empty when nothing was."""
        found = self.violations
        return f"{VIOLATIONS[found.first]} at {found.at:#x}" if found.first else ""

    def owed(self, space: int) -> int:
        return int(self.call("owed", space))

    def may_reach(self, mfn: int) -> bool:
        return bool(self.call("may_reach", mfn))
