"""The walkers of translation tables, as a model that knows what must not happen.

Stores come to be seen (visibility.py), entries lead to tables (known_tables.py), and what was seen once may be
remembered (tlb.py). From the changes that walkers see (changes.py) the model tells which broke a rule (`Violation`),
and what walkers have not been told yet (`owed`). It decodes entries by itself, from the manuals (entries.py), so a
format that encodes wrongly is found as well.

`translate` tells what a CPU might make of a frame number. `access` is a CPU's access, at a time when nothing may be
owed: it faults as the architecture says, sets the bits of x86 that say a page was accessed and written to, and is a
violation when it used what the tables have no more.
"""

from hv.common.mm.types import Mfn, Paddr, paddr_of
from hv.lang import Final, U8Enum, bounded, ptr, u8, u16, u32, u64, unbounded, value
from hv.sim import arm_entries, x86_entries
from hv.sim.changes import rules, table_at
from hv.sim.entries import is_leaf, memory, rights, target
from hv.sim.known_tables import NO_TABLE, known
from hv.sim.memory import address_at
from hv.sim.stages import ALL, PRESENT, Rights, Stage, of_x86, span
from hv.sim.tlb import Ghost, Shape, tlbs
from hv.sim.violations import Violation, violations
from hv.sim.visibility import MAX_STORES, seen_at, seen_entry, visibility

WORDS_PER_TABLE: Final[u64] = 512


@value
class Translation:
    """What a walker would make of a frame number."""

    present: bool
    stale: bool  # it comes from a cache, and memory says something else
    readable: bool
    writable: bool
    executable: bool
    memory: u8  # as `Memory`
    mfn: Mfn


class Fault(U8Enum):
    NONE = 0
    ABSENT = 1
    RESERVED = 2  # an entry that the architecture does not know
    NOT_ACCESSED = 3  # Arm's access flag is zero
    DENIED = 4


@value
class Outcome:
    """Of an access."""

    fault: Fault
    code: u32  # of the fault, on x86
    height: u32  # of the entry that decided
    stale: bool
    mfn: Mfn
    memory: u8


@value
class End:
    """The entry that decides about a frame number."""

    height: u32
    entry: u64
    rights: Rights  # with those of the tables on the way
    reserved: bool
    stale: bool

    def mfn(self, stage: Stage, at: u64) -> Mfn:
        return Mfn(target(stage, self.entry, self.height) + (at & (span(self.height) - 1)))


# What tests set up


def power_on() -> None:
    """The knobs stay, but all are awake."""
    rules.forget()
    known.forget()
    visibility.forget()
    tlbs.forget()
    violations.forget()


def be_arm() -> None:
    """Barriers publish stores, what an entry leads to changes by a break, and one CPU makes all forget."""
    rules.needs_break = True
    visibility.ordered = False
    tlbs.asks_each = False


def be_x86() -> None:
    """Stores are seen in order and at once, entries may change at once, and each CPU forgets for itself."""
    rules.needs_break = False
    visibility.ordered = True
    tlbs.asks_each = True


def watch(root: Mfn, stage: Stage, tag: u16, top: u32, root_tables: u32, caches_absent: bool) -> u32:
    """Points CPU 0's walker at an empty root. Returns the number of the space."""
    number = tlbs.new_space()
    space = tlbs.spaces[number]
    space.root = root
    space.stage = stage
    space.tag = tag
    space.caches_absent = caches_absent
    space.top = top
    space.cpus = 1
    for i in bounded(root_tables, 16):
        base = u64(i) * WORDS_PER_TABLE * span(top)
        known.know(number, stage, top, base, Mfn(root + u64(i)), ALL)
    return number


def walk_on(space: u32, cpus: u64) -> None:
    """These CPUs, a bit for each, walk the tables from now on, and no other."""
    tlbs.spaces[space].cpus = cpus


def unwatch(space: u32) -> None:
    """Points walkers away from tables whose root is to be freed."""
    for table in known:
        if table.linked and table.space == space and table.height == tlbs.spaces[space].top:
            known.drop(table)


def freed(table: Mfn) -> None:
    """The owner of a table frees it: whoever gets it writes to it."""
    if known.number(table) != NO_TABLE:
        violations.found(Violation.REUSED, table)


# What tests ask


def owed(space: u32) -> u32:
    """What walkers have not been told: 1 for stores that they cannot see, 2 for old entries that they may remember, and
    their sum."""
    unseen: u32 = 0
    old: u32 = 0
    for i in bounded(visibility.count, MAX_STORES):
        number = table_at(visibility.stores[i].address)
        if number != NO_TABLE and known[number].space == space:
            unseen = 1
    for ghost in tlbs:
        if ghost.space == space:
            old = 2
    return unseen + old


def may_reach(mfn: Mfn) -> bool:
    """Whether a walker may still get at a frame, by an entry that it sees or remembers."""
    for ghost in tlbs:
        if ghost.leads_to(tlbs.spaces[ghost.space].stage, mfn):
            return True
    for table in known:
        if table.maps(mfn):
            return True
    return False


def translate(cpu: u32, space: u32, at: u64) -> Translation:
    """By the oldest entry that the CPU remembers, or else by the tables as walkers see them."""
    stage = tlbs.spaces[space].stage
    ghost = tlbs.first_for(cpu, space, at)
    end = _walk(space, at) if ghost is None else _remembered(ghost)
    if end.entry & PRESENT == 0:
        return Translation(False, end.stale, False, False, False, 0, Mfn(0))
    kind = memory(stage, end.entry, end.height)
    may = end.rights
    return Translation(True, end.stale, Rights.R in may, Rights.W in may, Rights.X in may, kind, end.mfn(stage, at))


def access(cpu: u32, space: u32, at: u64, wanted: Rights) -> Outcome:
    """A user's where `wanted` says so; a guest's walk of nested tables is always one (AMD APM 2, 15.25.5)."""
    stage = tlbs.spaces[space].stage
    asked = wanted if stage == Stage.LONG_MODE else wanted | Rights.USER
    end = _walk(space, at)
    right = _judge(stage, end, at, asked)
    ghost = tlbs.first_for(cpu, space, at)
    if ghost is None:
        if right.fault == Fault.NONE and of_x86(stage):
            _mark(space, at, asked)
        return right
    used = _judge(stage, _remembered(ghost), at, asked)
    if used.fault == Fault.NONE:
        writes = of_x86(stage) and Rights.W in asked
        lost = writes and ghost.entry & ~end.entry & x86_entries.DIRTY != 0
        if lost or right.fault != Fault.NONE or used.mfn != right.mfn or used.memory != right.memory:
            violations.found(Violation.STALE_USED, at)
        elif writes:
            _mark(space, at, asked)
    elif ghost.shape == Shape.ABSENT and right.fault == Fault.NONE:
        violations.found(Violation.STALE_USED, at)
    elif stage == Stage.LONG_MODE:
        # A page fault forgets what it came from (Intel SDM 3A, 4.10.4.1).
        tlbs.invalidate(u64(1) << cpu, False, Mfn(0), tlbs.spaces[space].tag, False, at)
    return used


def _remembered(ghost: Ghost) -> End:
    return End(ghost.height, ghost.entry, ghost.rights, False, True)


@unbounded("goes down one height at a time")
def _walk(space: u32, at: u64) -> End:
    """By the tables as walkers see them."""
    stage = tlbs.spaces[space].stage
    height = tlbs.spaces[space].top
    table = Mfn(tlbs.spaces[space].root + (at >> height * 9 + 9))
    allowed = ALL
    while True:
        entry = seen_entry(paddr_of(table), at >> height * 9 & 511)
        if entry & PRESENT == 0:
            return End(height, entry, allowed, False, False)
        allowed = allowed & rights(stage, entry, height)
        reserved = of_x86(stage) and not x86_entries.well_formed(entry, height)
        if reserved or is_leaf(stage, entry, height):
            return End(height, entry, allowed, reserved, False)
        table = target(stage, entry, height)
        height -= 1


@unbounded("goes down one height at a time")
def _mark(space: u32, at: u64, wanted: Rights) -> None:
    """Sets the accessed bit on the way to a leaf, and the leaf's dirty bit for a write (Intel SDM 3A, 4.8)."""
    stage = tlbs.spaces[space].stage
    height = tlbs.spaces[space].top
    table = tlbs.spaces[space].root
    while True:
        index = at >> height * 9 & 511
        entry = seen_entry(paddr_of(table), index)
        leaf = is_leaf(stage, entry, height)
        marked = entry | x86_entries.ACCESSED
        if leaf and Rights.W in wanted:
            marked |= x86_entries.DIRTY
        _write_back(paddr_of(table), index, marked)
        if leaf:
            return
        table = target(stage, entry, height)
        height -= 1


def _write_back(table: Paddr, index: u64, entry: u64) -> None:
    """A walker's own store, which all walkers see."""
    ptr[u64](address_at(table))[index] = entry
    ptr[u64](seen_at(table))[index] = entry


def _judge(stage: Stage, end: End, at: u64, wanted: Rights) -> Outcome:
    """What comes of an access that ends at this entry."""
    fault = _fault_of(stage, end, wanted)
    if fault == Fault.NONE:
        kind = memory(stage, end.entry, end.height)
        return Outcome(fault, 0, end.height, end.stale, end.mfn(stage, at), kind)
    code = x86_entries.fault_code(wanted, fault != Fault.ABSENT, end.reserved) if of_x86(stage) else 0
    return Outcome(fault, code, end.height, end.stale, Mfn(0), 0)


def _fault_of(stage: Stage, end: End, wanted: Rights) -> Fault:
    if end.entry & PRESENT == 0:
        return Fault.ABSENT
    if end.reserved:
        return Fault.RESERVED
    if of_x86(stage):
        return Fault.NONE if x86_entries.allows(stage, end.rights, wanted) else Fault.DENIED
    if end.entry & arm_entries.ACCESSED == 0:
        return Fault.NOT_ACCESSED
    return Fault.NONE if end.rights & wanted == wanted else Fault.DENIED
