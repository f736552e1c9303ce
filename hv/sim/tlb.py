"""What CPUs may remember of translation tables: TLBs, and caches of the tables on the way (Arm DDI 0487, "Translation
Lookaside Buffers"; Intel SDM 3A, 4.10; AMD APM 2, 5.5).

A CPU may have cached any entry that it has ever been able to see, and keeps it until it is told to forget it: a `Ghost`
is an entry that has gone from the tables but not from such caches. The model keeps them all, for each CPU that walked
the tables, so whatever hardware might do, it does. Absent entries are cached only by walkers that say so.

What is cached is known by a tag (VMID, ASID), not by the tables that it came from: a CPU may use it for other tables
with the same tag. A CPU forgets for itself alone, or for all, as an instruction or an interrupt makes it.
"""

from hv.common.mm.types import Mfn
from hv.lang import Final, Iterator, U8Enum, array, bounded, u16, u32, u64, unbounded
from hv.sim.entries import target
from hv.sim.known_tables import known
from hv.sim.stages import Rights, Stage, of_guest
from hv.sim.violations import Violation, violations

MAX_GHOSTS: Final[u32] = 32768
MAX_SPACES: Final[u32] = 8
MAX_WALKERS: Final[u32] = 64  # CPUs whose TLBs are told apart
EVERY_CPU: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF


class Shape(U8Enum):
    """Of a ghost."""

    LEAF = 0
    TABLE = 1
    ABSENT = 2


class Space:
    """One set of translation tables that walkers know."""

    root: Mfn
    stage: Stage
    tag: u16
    top: u32
    caches_absent: bool
    cpus: u64  # a bit for each that has walked it

    def shares_tag(self, other: "Space") -> bool:
        return self.stage == other.stage and self.tag == other.tag


class Ghost:
    space: u32
    shape: Shape
    cpus: u64  # a bit for each that may remember it
    start: u64
    frames: u64
    height: u32
    entry: u64
    rights: Rights  # with those of the tables on the way
    table: u32  # of a TABLE: its number

    def is_of(self, at: u64) -> bool:
        return at - self.start < self.frames

    def leads_to(self, stage: Stage, mfn: Mfn) -> bool:
        return self.shape == Shape.LEAF and mfn - target(stage, self.entry, self.height) < self.frames


class Tlbs:
    asks_each: bool  # each CPU is asked to forget, as on x86; else one makes all, as Arm's inner-shareable TLBI
    drop_invalidate: bool  # the knobs that take a part of the protocol away
    drop_remote: bool
    invalidations: u64  # single entries, and whole spaces
    spaces: array[Space, MAX_SPACES]
    space_count: u32
    ghosts: array[Ghost, MAX_GHOSTS]
    count: u32

    def forget(self) -> None:
        self.count = 0
        self.space_count = 0
        self.invalidations = 0

    def __iter__(self) -> Iterator[Ghost]:
        for i in bounded(self.count, MAX_GHOSTS):
            yield self.ghosts[i]

    def new_space(self) -> u32:
        assert self.space_count < MAX_SPACES, "too many spaces for the model"
        self.space_count += 1
        return self.space_count - 1

    def make_ghost(self, space: u32, start: u64, frames: u64, shape: Shape) -> Ghost | None:
        """None: no CPU walks the space, or the model is full."""
        cpus = self.spaces[space].cpus
        if cpus == 0:
            return None
        if self.count == MAX_GHOSTS:
            violations.found(Violation.FULL, start)
            return None
        ghost = self.ghosts[self.count]
        ghost.space = space
        ghost.shape = shape
        ghost.cpus = cpus
        ghost.start = start
        ghost.frames = frames
        self.count += 1
        return ghost

    def first_for(self, cpu: u32, space: u32, at: u64) -> Ghost | None:
        """The oldest that this CPU may remember of a frame number, tables left out."""
        for i in bounded(self.count, MAX_GHOSTS):
            ghost = self.ghosts[i]
            if ghost.is_of(at) and ghost.shape != Shape.TABLE and ghost.cpus >> cpu & 1 != 0:
                if self.spaces[ghost.space].shares_tag(self.spaces[space]):
                    return ghost
        return None

    @unbounded("each step looks at or takes away a ghost")
    def invalidate(self, cpus: u64, guests: bool, root: Mfn, tag: u16, whole: bool, at: u64) -> None:
        """These CPUs forget what they remember for one frame number, or all with a tag, of a guest or the hypervisor.
        Arm finds a guest's tag in the register that holds the root."""
        if self.drop_invalidate:
            return
        self.invalidations += 1
        i: u32 = 0
        while i < self.count:
            ghost = self.ghosts[i]
            space = self.spaces[ghost.space]
            named = space.tag == tag and (space.stage != Stage.GUEST or space.root == root)
            if named and of_guest(space.stage) == guests and (whole or ghost.is_of(at)):
                ghost.cpus &= ~cpus
            if ghost.cpus == 0:
                self._drop(i)
            else:
                i += 1

    def reached_from(self, cpu: u32) -> u64:
        """The CPUs that forget when this one makes all forget."""
        return u64(1) << cpu if self.drop_remote else EVERY_CPU

    def _drop(self, number: u32) -> None:
        ghost = self.ghosts[number]
        if ghost.shape == Shape.TABLE:
            known.drop(known[ghost.table])
        self.count -= 1
        last = self.ghosts[self.count]
        ghost.space = last.space
        ghost.shape = last.shape
        ghost.cpus = last.cpus
        ghost.start = last.start
        ghost.frames = last.frames
        ghost.height = last.height
        ghost.entry = last.entry
        ghost.rights = last.rights
        ghost.table = last.table


tlbs: Final = Tlbs()
