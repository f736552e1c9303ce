"""A page table of the compiled library beside a model of what it is to map."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

from tests.common.mm.simulated import Machine
from tests.common.walkers import GUEST, HYPERVISOR, LONG_MODE, NESTED

PLENTY = 1 << 30
MOST_LATE = 8  # runs, of up to 512 entries each: the simulated machine keeps what walkers have not seen yet
R, W, X = 1, 2, 4
NORMAL, DEVICE, UNCACHED = 0, 1, 2
ORDERS = (0, 9, 18)


@dataclass(frozen=True)
class Kind:
    """One of the tables in hv/sim/fixtures.py."""

    variable: str
    shown: str
    stage: int
    tag: int
    top: int
    root_tables: int
    limit: int
    snoops: bool
    walker: str
    module: str = "fixtures"

    @property
    def x86(self) -> bool:
        return self.stage in (LONG_MODE, NESTED)

    def __str__(self) -> str:
        return self.variable


KINDS = {
    k.variable: k
    for k in (
        Kind("guest", "Stage2, GuestWalker", GUEST, 7, 2, 2, 1 << 28, True, "GuestWalker"),
        Kind("hypervisor", "Stage1, HypervisorWalker", HYPERVISOR, 0, 3, 1, 1 << 36, True, "HypervisorWalker"),
        Kind("device", "Stage2, DeviceWalker", GUEST, 9, 2, 2, 1 << 28, False, "DeviceWalker"),
        Kind("breakless", "Breakless, GuestWalker", GUEST, 5, 2, 2, 1 << 28, True, "GuestWalker"),
        Kind(
            "long_mode",
            "LongMode, HypervisorWalker",
            LONG_MODE,
            0,
            3,
            1,
            1 << 36,
            True,
            "HypervisorWalker",
            "x86_tables",
        ),
        Kind("lonely", "LongMode, LonelyWalker", LONG_MODE, 0, 3, 1, 1 << 36, True, "LonelyWalker", "x86_tables"),
        Kind("nested", "Npt, GuestWalker", NESTED, 3, 3, 1, 1 << 36, True, "GuestWalker", "x86_tables"),
    )
}


WALKER_MODULES = {"DeviceWalker": "sim_fixtures", "LonelyWalker": "sim_x86_tables"}


@dataclass(frozen=True)
class Segment:
    """Frames start … end - 1, mapped in a row."""

    start: int
    end: int
    mfn: int
    access: int
    memory: int
    kind: int

    def leads_to(self, other: Segment) -> bool:
        """Whether `other`, which begins where this ends, goes on in the same way."""
        mfn = self.mfn + self.end - self.start
        return other == replace(other, mfn=mfn, access=self.access, memory=self.memory, kind=self.kind)

    def part(self, start: int, end: int) -> Segment:
        return replace(self, start=start, end=end, mfn=self.mfn + start - self.start)


class Map:
    """What is mapped, as disjoint segments in order."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def at(self, frame: int) -> Segment | None:
        i = bisect_right(self.segments, frame, key=lambda s: s.start) - 1
        return self.segments[i] if i >= 0 and frame < self.segments[i].end else None

    def within(self, start: int, end: int) -> list[Segment]:
        parts = [s.part(max(s.start, start), min(s.end, end)) for s in self.segments]
        return [p for p in parts if p.start < p.end]

    def unmap(self, start: int, end: int) -> None:
        kept = []
        for s in self.segments:
            if s.end <= start or end <= s.start:
                kept.append(s)
                continue
            if s.start < start:
                kept.append(s.part(s.start, start))
            if end < s.end:
                kept.append(s.part(end, s.end))
        self._set(kept)

    def map(self, segment: Segment) -> None:
        assert not self.within(segment.start, segment.end)
        self._set([*self.segments, segment])

    def protect(self, start: int, end: int, access: int) -> None:
        changed = [replace(s, access=access) for s in self.within(start, end)]
        self.unmap(start, end)
        self._set([*self.segments, *changed])

    def _set(self, segments: list[Segment]) -> None:
        """Sorts them, and joins those that one block may map."""
        self.segments = []
        for s in sorted(segments, key=lambda s: s.start):
            last = self.segments[-1] if self.segments else None
            if last is not None and last.end == s.start and last.leads_to(s):
                self.segments[-1] = replace(last, end=s.end)
            else:
                self.segments.append(s)

    def edges(self) -> set[int]:
        """Frames at which something begins or ends, and their neighbours."""
        found = set()
        for s in self.segments:
            found.update((s.start - 1, s.start, s.start + 1, (s.start + s.end) // 2, s.end - 1, s.end))
        return {f for f in found if f >= 0}


class Tables:
    """The library's tables of one kind, on a fresh machine."""

    def __init__(self, kind: Kind, machine: Machine | None = None) -> None:
        self.kind = kind
        self.machine = machine or Machine().with_heap()
        self.ffi = self.machine.ffi
        walkers = self.walkers = self.machine.walkers
        walkers.visibility.snoops = kind.snoops
        walkers.rules.needs_break = kind.variable != "breakless"
        if kind.x86:
            walkers.call("be_x86")
            self.machine.library.variable("hv.x86.cpuid.features").pages_1g = True
        self.source = self.machine.library.variable("hv.sim.fixtures.tables")
        self.source.left = PLENTY
        self.table = self.machine.library.variable(f"hv.sim.{kind.module}.{kind.variable}")
        self.machine.call(f"hv.sim.{kind.module}.init_{kind.variable}", kind.tag)
        self.space = walkers.call(
            "watch",
            self.table.root,
            kind.stage,
            kind.tag,
            kind.top,
            kind.root_tables,
            not kind.snoops,
        )

    def call(self, name: str, *arguments: object) -> object:
        return self.machine.mm(f"pagetable.PageTable[{self.kind.shown}].{name}", self.table, *arguments)

    def flush(self, token: object) -> None:
        """Consumes the duty to flush that an operation returned."""
        place = WALKER_MODULES.get(self.kind.walker, "common_mm_walkers")
        held = self.ffi.new(f"common_mm_flush_Flush_{place}_{self.kind.walker} *", token)
        self.machine.mm(f"flush.Flush[{self.kind.walker}].flush", held)

    def destroy(self) -> None:
        self.walkers.call("unwatch", self.space)
        self.call("destroy")

    def map(self, at: int, mfn: int, frames: int, attributes: int) -> object:
        return self.call("map", at, mfn, frames, attributes)

    def lookup(self, at: int) -> object:
        return self.call("lookup", at)

    def all_of(self, name: str, at: int, frames: int, *arguments: object, late: bool = False) -> tuple[int, int]:
        """Repeats an operation over a range, run by run. Each run is flushed at once, or some of them later, together.
        Returns an errno and the frames done."""
        done, error, tokens = 0, 0, []
        while done < frames and not error:
            given = (frames - done, *arguments)
            if name == "map":
                given = (arguments[0] + done, frames - done, *arguments[1:])
            error, token = self.machine.errno_or(self.call, name, at + done, *given)
            if error:
                break
            assert 0 < token.done <= frames - done
            done += token.done
            tokens.append(token)
            if not late or len(tokens) == MOST_LATE:
                self.flush_all(tokens)
        self.flush_all(tokens)
        return error, done

    def flush_all(self, tokens: list[object]) -> None:
        for token in tokens:
            self.flush(token)
        tokens.clear()

    def translate(self, at: int, cpu: int = 0) -> object:
        return self.walkers.call("translate", cpu, self.space, at)

    def access(self, at: int, wanted: int, cpu: int = 0) -> object:
        return self.walkers.call("access", cpu, self.space, at, wanted)

    def owed(self) -> int:
        return self.walkers.owed(self.space)

    def faults(self, model: Map, probes: set[int]) -> list[str]:
        """What is wrong: a broken rule, something owed, or an answer of the tables or of the walker that is not the
        model's."""
        found = []
        if self.walkers.violation():
            found.append(f"violation {self.walkers.violation()}")
        if self.owed():
            found.append(f"owed {self.owed()}")
        if self.table.pending.tokens:
            found.append(f"{self.table.pending.tokens} duties not consumed")
        for at in sorted(p for p in probes if 0 <= p < self.kind.limit):
            expected = model.at(at)
            answers = self.answers(at)
            if expected is None:
                if any(answers):
                    found.append(f"{at:#x}: {answers}, nothing expected")
                continue
            wanted = (expected.mfn + at - expected.start, expected.access, expected.memory)
            if answers != (wanted, wanted):
                found.append(f"{at:#x}: {answers}, expected {wanted}")
        return found

    def answers(self, at: int) -> tuple[object, object]:
        """What the tables say, and what the walker makes of them: frame, access and memory, or None."""
        mapping, seen = self.lookup(at), self.translate(at)
        said = (mapping.mfn, mapping.attributes & 7, mapping.attributes >> 4 & 3) if mapping.present else None
        access = R * seen.readable | W * seen.writable | X * seen.executable
        return said, (seen.mfn, access, seen.memory) if seen.present else None


def attributes(access: int, memory: int, kind: int) -> int:
    """`Attributes` as the compiled code has it."""
    return access | memory << 4 | kind << 8
