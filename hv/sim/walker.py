"""Models of what stands between a CPU's stores to translation tables and what its walker makes of them.

- A store to memory is seen by the walker only after a barrier, and, when the walker does not snoop, after a clean.
- The walker may have cached any entry that it has ever seen, and keeps it until it is told to forget it: a `Ghost` is
  an entry that has gone from the tables but not from such a cache. The model keeps them all, so whatever hardware might
  do, it does.

What must not happen is recorded, as a `Violation`; the tests look at it after each operation. The walker decodes
entries by itself, from the Arm manual (DDI 0487), so a format that encodes wrongly is found as well. Both stages have 4
KiB tables of 512 entries.
"""

from hv.common.mm.types import PAGE_SHIFT, Mfn, Paddr
from hv.lang import Final, U8Enum, address_of, array, bounded, ptr, truncate, u8, u16, u32, u64, unbounded, value
from hv.sim.memory import RAM_BASE, RAM_BYTES, Arena, paddr_at, ram

FRAMES: Final = 0x4000
MAX_TABLES: Final[u32] = 4096
MAX_STORES: Final[u32] = 16384
MAX_GHOSTS: Final[u32] = 32768
MAX_SPACES: Final[u32] = 8
LINE: Final[u64] = 16  # bytes: the smallest that the architecture allows
WORDS_PER_TABLE: Final[u64] = 512

VALID: Final[u64] = 1
TABLE_OR_PAGE: Final[u64] = 2
ADDRESS: Final[u64] = 0xFFFF_FFFF_F000
PERMISSIONS: Final[u64] = 0x07C0_0000_0000_00C0  # bits 58:54 and 7:6: what may change without a break


class Violation(U8Enum):
    NONE = 0
    NO_BREAK = 1  # an entry changed what it leads to without being absent, and forgotten, in between
    STALE = 2  # an entry appeared while the walker may remember another for the same frames
    REUSED = 3  # a table was written to that the walker may still reach
    LINKED_EARLY = 4  # an entry appeared before what it leads to was published
    FULL = 5  # the model's tables are too small for the test
    BAD_ENTRY = 6  # an entry that the architecture does not know


class Stage(U8Enum):
    HYPERVISOR = 1
    GUEST = 2


class Shape(U8Enum):
    """Of a ghost."""

    LEAF = 0
    TABLE = 1
    ABSENT = 2


class Space:
    """One set of translation tables that the walker knows."""

    root: Mfn
    stage: Stage
    tag: u16
    top: u32
    root_frames: u32
    caches_absent: bool


class KnownTable:
    """A table that the walker can reach (`linked`), or may reach through what it remembers."""

    frame: u32  # counted from the start of RAM
    space: u32
    height: u32
    base: u64  # the first frame number that it decides about
    linked: bool
    used: bool


class Store:
    address: u64
    length: u64
    cleaned: bool


class Ghost:
    space: u32
    shape: Shape
    start: u64
    frames: u64
    entry: u64
    table: u32  # of a TABLE: its number


@value
class Translation:
    """What the walker would make of a frame number."""

    present: bool
    stale: bool  # it comes from a cache, and memory says something else
    readable: bool
    writable: bool
    executable: bool
    memory: u8  # as `Memory`
    mfn: Mfn


class Model:
    asleep: bool  # nothing is recorded: for CPUs at once in tests that look at no tables
    snoops: bool
    needs_break: bool  # else an entry may turn from what it leads to into something else at once, as on x86
    drop_invalidate: bool  # the three knobs that take a part of the protocol away
    drop_publish: bool
    drop_clean: bool
    violation: Violation
    violation_at: u64  # frame number or address that it is about
    invalidations: u64  # single entries, and whole spaces
    barriers: u64
    spaces: array[Space, MAX_SPACES]
    space_count: u32
    tables: array[KnownTable, MAX_TABLES]
    table_count: u32
    table_of: array[u16, FRAMES]  # number of the known table in each frame, plus 1
    stores: array[Store, MAX_STORES]
    store_count: u32
    seeing: u32  # the store that the walker comes to see just now
    ghosts: array[Ghost, MAX_GHOSTS]
    ghost_count: u32
    work: array[u32, MAX_TABLES]  # tables still to be looked into
    work_count: u32

    # What the tests call

    def watch(self, root: Mfn, stage: Stage, tag: u16, top: u32, root_tables: u32, caches_absent: bool) -> u32:
        """Points a walker at an empty root. Returns the number of the space."""
        assert self.space_count < MAX_SPACES, "too many spaces for the model"
        number = self.space_count
        self.space_count += 1
        space = self.spaces[number]
        space.root = root
        space.stage = stage
        space.tag = tag
        space.caches_absent = caches_absent
        space.top = top
        for i in bounded(root_tables, 16):
            self._know(number, top, u64(i) * WORDS_PER_TABLE * span(top), Mfn(root + u64(i)))
        return number

    def unwatch(self, space: u32) -> None:
        """Points the walker away from tables whose root is to be freed."""
        for i in bounded(self.table_count, MAX_TABLES):
            table = self.tables[i]
            if table.used and table.linked and table.space == space and table.height == self.spaces[space].top:
                table.used = False
                self.table_of[table.frame] = 0

    def freed(self, table: Mfn) -> None:
        """The owner of a table frees it: whoever gets it writes to it."""
        if self._known(table) != 0:
            self.violate(Violation.REUSED, table)

    def owed(self, space: u32) -> u32:
        """What the walker has not been told: 1 for stores that it cannot see, 2 for old entries that it may remember,
        and their sum."""
        unseen: u32 = 0
        old: u32 = 0
        for i in bounded(self.store_count, MAX_STORES):
            known = self.table_of[frame_of(self.stores[i].address)]
            if known != 0 and self.tables[known - 1].space == space:
                unseen = 1
        for i in bounded(self.ghost_count, MAX_GHOSTS):
            if self.ghosts[i].space == space:
                old = 2
        return unseen + old

    def may_reach(self, mfn: Mfn) -> bool:
        """Whether the walker may still get at a frame, by an entry that it sees or remembers."""
        for i in bounded(self.ghost_count, MAX_GHOSTS):
            ghost = self.ghosts[i]
            if ghost.shape == Shape.LEAF and mfn - target(ghost.entry) < ghost.frames:
                return True
        for i in bounded(self.table_count, MAX_TABLES):
            if self.tables[i].used and self._maps(i, mfn):
                return True
        return False

    @unbounded("goes down one height at a time")
    def translate(self, space: u32, at: u64) -> Translation:
        """By the oldest entry that the walker remembers, or else by the tables as it sees them."""
        stage = self.spaces[space].stage
        for i in bounded(self.ghost_count, MAX_GHOSTS):
            ghost = self.ghosts[i]
            if ghost.space == space and ghost.shape != Shape.TABLE and at - ghost.start < ghost.frames:
                return decode(stage, ghost.entry, at - ghost.start, True)
        height = self.spaces[space].top
        table = Mfn(self.spaces[space].root + (at >> height * 9 + 9))
        while True:
            entry = ptr[u64](seen_at(paddr(table)) + (at >> height * 9 & 511) * 8)[0]
            if entry & VALID == 0 or is_leaf(entry, height):
                return decode(stage, entry, at & (span(height) - 1), False)
            table = target(entry)
            height -= 1

    def forget_everything(self) -> None:
        """As after power-on. The knobs stay, but it is awake."""
        self.asleep = False
        for i in range(FRAMES):
            self.table_of[i] = 0
        for i in bounded(self.table_count, MAX_TABLES):
            self.tables[i].used = False
        self.table_count = 0
        self.store_count = 0
        self.ghost_count = 0
        self.space_count = 0
        self.work_count = 0
        self.violation = Violation.NONE
        self.invalidations = 0
        self.barriers = 0

    # What the CPU does

    def stored(self, address: u64, length: u64) -> None:
        """The CPU has written to RAM, in whole words."""
        if self.asleep:
            return
        if self.store_count == MAX_STORES:
            self.violate(Violation.FULL, address)
            return
        store = self.stores[self.store_count]
        store.address = address
        store.length = length
        store.cleaned = False
        self.store_count += 1

    def clean(self, address: u64, length: u64) -> None:
        """Cleans a range of RAM to memory, by lines, and waits for that."""
        if self.drop_clean or self.asleep:
            return
        start = address & ~(LINE - 1)
        end = address + length + LINE - 1 & ~(LINE - 1)
        for i in bounded(self.store_count, MAX_STORES):
            store = self.stores[i]
            if store.address >= start and store.address + store.length <= end:
                store.cleaned = True
        self.publish()

    def publish(self) -> None:
        """A barrier: what was stored before, and reaches the walker, does so now."""
        if self.drop_publish or self.asleep:
            return
        self.barriers += 1
        for i in bounded(self.store_count, MAX_STORES):
            if self.snoops or self.stores[i].cleaned:
                self.seeing = i
                self._see(self.stores[i])
        kept: u32 = 0
        for i in bounded(self.store_count, MAX_STORES):
            store = self.stores[i]
            if not self.snoops and not store.cleaned:
                self.stores[kept].address = store.address
                self.stores[kept].length = store.length
                self.stores[kept].cleaned = False
                kept += 1
        self.store_count = kept

    @unbounded("each step looks at or takes away a ghost")
    def invalidate(self, stage: Stage, root: Mfn, tag: u16, whole: bool, at: u64) -> None:
        """Forgets what is remembered for one frame number, or all of a space."""
        if self.drop_invalidate or self.asleep:
            return
        self.invalidations += 1
        i: u32 = 0
        while i < self.ghost_count:
            ghost = self.ghosts[i]
            space = self.spaces[ghost.space]
            named = space.stage == stage and space.tag == tag and (stage == Stage.HYPERVISOR or space.root == root)
            if named and (whole or at - ghost.start < ghost.frames):
                self._drop_ghost(i)
            else:
                i += 1

    # What the walker sees

    def _see(self, store: Store) -> None:
        for i in bounded(store.length // 8, RAM_BYTES):
            address = store.address + i * 8
            entry = ptr[u64](address)[0]
            seen_word = ptr[u64](seen_at(paddr_at(address)))
            before = seen_word[0]
            seen_word[0] = entry
            known = self.table_of[frame_of(address)]
            if known != 0 and before != entry:
                self._changed(u32(known) - 1, address % 4096 // 8, before, entry)

    def _changed(self, number: u32, index: u64, before: u64, after: u64) -> None:
        table = self.tables[number]
        start = table.base + index * span(table.height)
        if not table.linked:
            if after & VALID != 0:
                self.violate(Violation.REUSED, start)
            return
        if before & VALID != 0 and after & VALID != 0:
            if (before ^ after) & ~PERMISSIONS == 0:
                self._remember(table.space, Shape.LEAF, start, span(table.height), before, 0)
                return
            if self.needs_break:
                self.violate(Violation.NO_BREAK, start)
            self._gone(table.space, table.height, start, before)
            self._appeared(table.space, table.height, start, after)
        elif before & VALID != 0:
            self._gone(table.space, table.height, start, before)
        elif after & VALID != 0:
            if self.spaces[table.space].caches_absent:
                self._remember(table.space, Shape.ABSENT, start, span(table.height), 0, 0)
            self._appeared(table.space, table.height, start, after)

    @unbounded("each table is looked into once")
    def _appeared(self, space: u32, height: u32, start: u64, entry: u64) -> None:
        self._check_new(space, height, start, entry)
        while self.work_count != 0:
            self.work_count -= 1
            table = self.tables[self.work[self.work_count]]
            for i in range(512):
                below = self._seen(table, u64(i))
                if below & VALID != 0:
                    self._check_new(space, table.height, table.base + u64(i) * span(table.height), below)

    def _check_new(self, space: u32, height: u32, start: u64, entry: u64) -> None:
        """An entry that the walker sees for the first time."""
        leaf = is_leaf(entry, height)
        if not well_formed(self.spaces[space].stage, entry, height):
            self.violate(Violation.BAD_ENTRY, start)
            return
        if self._unpublished(target(entry), span(height) if leaf else 1):
            self.violate(Violation.LINKED_EARLY, start)
        for i in bounded(self.ghost_count, MAX_GHOSTS):
            ghost = self.ghosts[i]
            here = overlap(ghost.start, ghost.frames, start, span(height))
            if here and ghost.space == space and ghost.shape != Shape.ABSENT:
                same = leaf and ghost.shape == Shape.LEAF and ghost.frames == span(height)
                if self.needs_break and (not same or (ghost.entry ^ entry) & ~PERMISSIONS != 0):
                    self.violate(Violation.STALE, start)
        if not leaf:
            self._know(space, height - 1, start, target(entry))
            self._look_into(target(entry))

    @unbounded("each table is looked into once")
    def _gone(self, space: u32, height: u32, start: u64, entry: u64) -> None:
        """An entry that the walker may remember, and all that it leads to."""
        self._leave(space, height, start, entry)
        while self.work_count != 0:
            self.work_count -= 1
            table = self.tables[self.work[self.work_count]]
            for i in range(512):
                below = self._seen(table, u64(i))
                if below & VALID != 0:
                    self._leave(space, table.height, table.base + u64(i) * span(table.height), below)

    def _leave(self, space: u32, height: u32, start: u64, entry: u64) -> None:
        if is_leaf(entry, height):
            self._remember(space, Shape.LEAF, start, span(height), entry, 0)
            return
        known = self._known(target(entry))
        if known != 0:
            self.tables[known - 1].linked = False
            self._remember(space, Shape.TABLE, start, span(height), entry, known - 1)
            self._look_into(target(entry))

    # Bookkeeping

    def _known(self, table: Mfn) -> u32:
        """The number of a known table plus 1, or 0."""
        frame = (table << PAGE_SHIFT) - RAM_BASE >> PAGE_SHIFT
        return u32(self.table_of[frame]) if frame < FRAMES else 0

    def _know(self, space: u32, height: u32, base: u64, table: Mfn) -> None:
        frame = (table << PAGE_SHIFT) - RAM_BASE >> PAGE_SHIFT
        if frame >= FRAMES or self.table_of[frame] != 0:
            self.violate(Violation.REUSED, base)
            return
        number = self._free_number()
        if number == MAX_TABLES:
            self.violate(Violation.FULL, base)
            return
        made = self.tables[number]
        made.frame = u32(frame)
        made.space = space
        made.height = height
        made.base = base
        made.linked = True
        made.used = True
        self.table_of[frame] = u16(number + 1)

    def _free_number(self) -> u32:
        for i in bounded(self.table_count, MAX_TABLES):
            if not self.tables[i].used:
                return i
        if self.table_count < MAX_TABLES:
            self.table_count += 1
            return self.table_count - 1
        return MAX_TABLES

    def _look_into(self, table: Mfn) -> None:
        known = self._known(table)
        if known != 0 and self.work_count < MAX_TABLES:
            self.work[self.work_count] = known - 1
            self.work_count += 1

    def _seen(self, table: KnownTable, index: u64) -> u64:
        return ptr[u64](seen_at(Paddr(RAM_BASE + (u64(table.frame) << PAGE_SHIFT))))[index]

    def _maps(self, number: u32, mfn: Mfn) -> bool:
        """Whether a leaf of this table leads to the frame."""
        table = self.tables[number]
        for i in range(512):
            entry = self._seen(table, u64(i))
            if entry & VALID != 0 and is_leaf(entry, table.height) and mfn - target(entry) < span(table.height):
                return True
        return False

    def _unpublished(self, mfn: Mfn, frames: u64) -> bool:
        """Whether some of these frames were written to before the store that is being seen, no barrier between."""
        start = (mfn << PAGE_SHIFT) - RAM_BASE + address_of(ram)
        for i in bounded(self.seeing, MAX_STORES):
            if overlap(self.stores[i].address, self.stores[i].length, start, frames << PAGE_SHIFT):
                return True
        return False

    def _remember(self, space: u32, shape: Shape, start: u64, frames: u64, entry: u64, table: u32) -> None:
        if self.ghost_count == MAX_GHOSTS:
            self.violate(Violation.FULL, start)
            return
        ghost = self.ghosts[self.ghost_count]
        ghost.space = space
        ghost.shape = shape
        ghost.start = start
        ghost.frames = frames
        ghost.entry = entry
        ghost.table = table
        self.ghost_count += 1

    def _drop_ghost(self, number: u32) -> None:
        ghost = self.ghosts[number]
        if ghost.shape == Shape.TABLE:
            table = self.tables[ghost.table]
            table.used = False
            self.table_of[table.frame] = 0
        self.ghost_count -= 1
        last = self.ghosts[self.ghost_count]
        ghost.space = last.space
        ghost.shape = last.shape
        ghost.start = last.start
        ghost.frames = last.frames
        ghost.entry = last.entry
        ghost.table = last.table

    def violate(self, what: Violation, at: u64) -> None:
        """Only the first is kept."""
        if self.violation == Violation.NONE:
            self.violation = what
            self.violation_at = at


seen: Final = Arena()
model: Final = Model()


def span(height: u32) -> u64:
    return u64(1) << height * 9


def target(entry: u64) -> Mfn:
    return Mfn((entry & ADDRESS) >> PAGE_SHIFT)


def paddr(mfn: Mfn) -> Paddr:
    return Paddr(mfn << PAGE_SHIFT)


def seen_at(at: Paddr) -> u64:
    """Where the walker's view of a byte of RAM is kept."""
    assert at - RAM_BASE < RAM_BYTES, "the walker leaves simulated memory"
    return address_of(seen) + (at - RAM_BASE)


def frame_of(address: u64) -> u64:
    return paddr_at(address) - RAM_BASE >> PAGE_SHIFT


def overlap(a: u64, a_length: u64, b: u64, b_length: u64) -> bool:
    return a < b + b_length and b < a + a_length


def is_leaf(entry: u64, height: u32) -> bool:
    return height == 0 or entry & TABLE_OR_PAGE == 0


def well_formed(stage: Stage, entry: u64, height: u32) -> bool:
    """A page has bit 1; a leaf has the access flag and stands at height 2 or below, aligned to its size; stage 1 of EL2
    has bit 6."""
    if height == 0 and entry & TABLE_OR_PAGE == 0:
        return False
    if not is_leaf(entry, height):
        return True
    if height > 2 or entry >> 10 & 1 == 0 or target(entry) & (span(height) - 1) != 0:
        return False
    return stage == Stage.GUEST or entry >> 6 & 1 == 1


def decode(stage: Stage, entry: u64, inside: u64, stale: bool) -> Translation:
    if entry & VALID == 0:
        return Translation(False, stale, False, False, False, 0, Mfn(0))
    executable = entry >> 54 & 1 == 0
    mfn = Mfn(target(entry) + inside)
    if stage == Stage.HYPERVISOR:
        return Translation(True, stale, True, entry >> 7 & 1 == 0, executable, truncate(u8, entry >> 2 & 7), mfn)
    memory = stage2_memory(entry >> 2 & 15)
    return Translation(True, stale, entry >> 6 & 1 == 1, entry >> 7 & 1 == 1, executable, memory, mfn)


def stage2_memory(attribute: u64) -> u8:
    """MemAttr as `Memory`."""
    match attribute:
        case 15:
            return 0
        case 1:
            return 1
        case 5:
            return 2
        case _:
            return 255
