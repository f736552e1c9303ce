"""The translation tables that a walker can reach, or may reach through what it remembers."""

from hv.common.mm.types import PAGE_SHIFT, Mfn, Paddr
from hv.lang import Final, Iterator, array, bounded, u16, u32, u64
from hv.sim.entries import is_leaf, target
from hv.sim.memory import RAM_BASE
from hv.sim.stages import PRESENT, Rights, Stage, span
from hv.sim.violations import Violation, violations
from hv.sim.visibility import seen_entry

FRAMES: Final = 0x4000
MAX_TABLES: Final[u32] = 4096
NO_TABLE: Final[u32] = MAX_TABLES


class KnownTable:
    frame: u32  # counted from the start of RAM
    space: u32
    stage: Stage
    height: u32
    base: u64  # the first frame number that it decides about
    rights: Rights  # that the entries on the way there leave
    linked: bool  # else the walker may reach it only by what it remembers
    used: bool

    def entry(self, index: u64) -> u64:
        """As the walker sees it."""
        return seen_entry(Paddr(RAM_BASE + (u64(self.frame) << PAGE_SHIFT)), index)

    def start(self, index: u64) -> u64:
        """The first frame number that an entry decides about."""
        return self.base + index * span(self.height)

    def maps(self, mfn: Mfn) -> bool:
        """Whether a leaf of this table leads to the frame."""
        for i in range(512):
            entry = self.entry(u64(i))
            if entry & PRESENT != 0 and is_leaf(self.stage, entry, self.height):
                if mfn - target(self.stage, entry, self.height) < span(self.height):
                    return True
        return False


class KnownTables:
    tables: array[KnownTable, MAX_TABLES]
    count: u32
    table_of: array[u16, FRAMES]  # number of the known table in each frame, plus 1

    def forget(self) -> None:
        for i in range(FRAMES):
            self.table_of[i] = 0
        for i in bounded(self.count, MAX_TABLES):
            self.tables[i].used = False
        self.count = 0

    def __getitem__(self, number: u32) -> KnownTable:
        return self.tables[number]

    def __iter__(self) -> Iterator[KnownTable]:
        for i in bounded(self.count, MAX_TABLES):
            if self.tables[i].used:
                yield self.tables[i]

    def number(self, table: Mfn) -> u32:
        """NO_TABLE: it is none that is known."""
        frame = frame_in_ram(table)
        return u32(self.table_of[frame]) - 1 if frame < FRAMES and self.table_of[frame] != 0 else NO_TABLE

    def know(self, space: u32, stage: Stage, height: u32, base: u64, table: Mfn, rights: Rights) -> None:
        frame = frame_in_ram(table)
        if frame >= FRAMES or self.table_of[frame] != 0:
            violations.found(Violation.REUSED, base)
            return
        number = self._free_number()
        if number == NO_TABLE:
            violations.found(Violation.FULL, base)
            return
        made = self.tables[number]
        made.frame = u32(frame)
        made.space = space
        made.stage = stage
        made.height = height
        made.base = base
        made.rights = rights
        made.linked = True
        made.used = True
        self.table_of[frame] = u16(number + 1)

    def drop(self, table: KnownTable) -> None:
        """The walker cannot reach it any more."""
        table.used = False
        self.table_of[table.frame] = 0

    def _free_number(self) -> u32:
        for i in bounded(self.count, MAX_TABLES):
            if not self.tables[i].used:
                return i
        if self.count < MAX_TABLES:
            self.count += 1
            return self.count - 1
        return NO_TABLE


known: Final = KnownTables()


def frame_in_ram(mfn: Mfn) -> u64:
    return (mfn << PAGE_SHIFT) - RAM_BASE >> PAGE_SHIFT
