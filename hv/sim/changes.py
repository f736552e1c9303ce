"""The changes of translation tables that walkers come to see, and the rules that they keep.

An entry leads to tables, which walkers can then reach (known_tables.py); one that goes may be remembered, with all that
it led to (tlb.py). A change that breaks a rule is a `Violation`.
"""

from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Mfn
from hv.lang import Final, address_of, array, u16, u32, u64, unbounded
from hv.sim.entries import is_leaf, leads_alike, rights, target, well_formed
from hv.sim.known_tables import MAX_TABLES, NO_TABLE, KnownTable, known
from hv.sim.memory import RAM_BASE, paddr_at, ram
from hv.sim.stages import PRESENT, span
from hv.sim.tlb import Shape, tlbs
from hv.sim.violations import Violation, violations
from hv.sim.visibility import overlap, see, visibility


class Rules:
    asleep: bool  # nothing is recorded: for CPUs at once in tests that look at no tables
    needs_break: bool  # else an entry may turn from what it leads to into something else at once, as on x86
    work: array[u32, MAX_TABLES]  # tables still to be looked into
    work_count: u32

    def forget(self) -> None:
        """The knob stays, but it is awake."""
        self.asleep = False
        self.work_count = 0

    def look_into(self, number: u32) -> None:
        if self.work_count < MAX_TABLES:
            self.work[self.work_count] = number
            self.work_count += 1

    def next_table(self) -> KnownTable:
        self.work_count -= 1
        return known[self.work[self.work_count]]


rules: Final = Rules()


def stored(address: u64, length: u64) -> None:
    """A CPU has written to RAM, in whole words."""
    if not rules.asleep:
        visibility.stored(address, length)
        if visibility.ordered:
            _see_all()


def clean(address: u64, length: u64) -> None:
    """Cleans a range of RAM to memory, by lines, and waits for that."""
    if not rules.asleep and not visibility.drop_clean:
        visibility.clean(address, length)
        publish()


def publish() -> None:
    """A barrier: what was stored before, and reaches walkers, does so now."""
    if not rules.asleep and not visibility.drop_publish:
        _see_all()


def forget(cpus: u64, guests: bool, root: Mfn, tag: u16, whole: bool, at: u64) -> None:
    """As `Tlbs.invalidate`."""
    if not rules.asleep:
        tlbs.invalidate(cpus, guests, root, tag, whole, at)


def table_at(address: u64) -> u32:
    """The number of the known table in which an address of RAM lies."""
    return known.number(Mfn(paddr_at(address) >> PAGE_SHIFT))


def _see_all() -> None:
    for address in visibility.arriving():
        before, after = see(address)
        number = table_at(address)
        if number != NO_TABLE and before != after:
            _changed(known[number], address % PAGE_SIZE // 8, before, after)
    visibility.arrived()


def _changed(table: KnownTable, index: u64, before: u64, after: u64) -> None:
    start = table.start(index)
    if not table.linked:
        if after & PRESENT != 0:
            violations.found(Violation.REUSED, start)
        return
    if before & PRESENT != 0 and after & PRESENT != 0:
        if leads_alike(table.stage, before, after):
            _remember(table, start, before, Shape.LEAF, NO_TABLE)
            return
        if rules.needs_break:
            violations.found(Violation.NO_BREAK, start)
        _gone(table, start, before)
        _appeared(table, start, after)
    elif before & PRESENT != 0:
        _gone(table, start, before)
    elif after & PRESENT != 0:
        if tlbs.spaces[table.space].caches_absent:
            _remember(table, start, 0, Shape.ABSENT, NO_TABLE)
        _appeared(table, start, after)


@unbounded("each table is looked into once")
def _appeared(table: KnownTable, start: u64, entry: u64) -> None:
    _check_new(table, start, entry)
    while rules.work_count != 0:
        below = rules.next_table()
        for i in range(512):
            found = below.entry(u64(i))
            if found & PRESENT != 0:
                _check_new(below, below.start(u64(i)), found)


def _check_new(table: KnownTable, start: u64, entry: u64) -> None:
    """An entry that walkers see for the first time."""
    height = table.height
    if not well_formed(table.stage, entry, height):
        violations.found(Violation.BAD_ENTRY, start)
        return
    leaf = is_leaf(table.stage, entry, height)
    to = target(table.stage, entry, height)
    if _unpublished(to, span(height) if leaf else 1):
        violations.found(Violation.LINKED_EARLY, start)
    if rules.needs_break:
        _check_alone(table, start, entry, leaf)
    if not leaf:
        left = table.rights & rights(table.stage, entry, height)
        known.know(table.space, table.stage, height - 1, start, to, left)
        _look_into(known.number(to))


def _check_alone(table: KnownTable, start: u64, entry: u64, leaf: bool) -> None:
    """Nothing is remembered for the frames of a new entry but what is its like."""
    space = tlbs.spaces[table.space]
    for ghost in tlbs:
        here = overlap(ghost.start, ghost.frames, start, span(table.height))
        if here and ghost.shape != Shape.ABSENT and tlbs.spaces[ghost.space].shares_tag(space):
            same = leaf and ghost.shape == Shape.LEAF and ghost.height == table.height
            if not same or not leads_alike(table.stage, ghost.entry, entry):
                violations.found(Violation.STALE, start)


@unbounded("each table is looked into once")
def _gone(table: KnownTable, start: u64, entry: u64) -> None:
    """An entry that walkers may remember, and all that it leads to."""
    _leave(table, start, entry)
    while rules.work_count != 0:
        below = rules.next_table()
        for i in range(512):
            found = below.entry(u64(i))
            if found & PRESENT != 0:
                _leave(below, below.start(u64(i)), found)


def _leave(table: KnownTable, start: u64, entry: u64) -> None:
    if is_leaf(table.stage, entry, table.height):
        _remember(table, start, entry, Shape.LEAF, NO_TABLE)
        return
    number = known.number(target(table.stage, entry, table.height))
    if number != NO_TABLE:
        known[number].linked = False
        _remember(table, start, entry, Shape.TABLE, number)
        _look_into(number)


def _look_into(number: u32) -> None:
    if number != NO_TABLE:
        rules.look_into(number)


def _remember(table: KnownTable, start: u64, entry: u64, shape: Shape, below: u32) -> None:
    ghost = tlbs.make_ghost(table.space, start, span(table.height), shape)
    if ghost is None:
        return
    ghost.height = table.height
    ghost.entry = entry
    ghost.rights = table.rights & rights(table.stage, entry, table.height)
    ghost.table = below


def _unpublished(mfn: Mfn, frames: u64) -> bool:
    """Whether some of these frames were written to before the store that is being seen, no barrier between."""
    start = (mfn << PAGE_SHIFT) - RAM_BASE + address_of(ram)
    return visibility.unseen_before(start, frames << PAGE_SHIFT)
