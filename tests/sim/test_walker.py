"""The model of x86's and Arm's walkers, on tables written by hand: who may do what, the code of a fault, the bits that
a walk sets, and what a CPU goes on using until it is told to forget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.mm.simulated import BASE, RAM_BASE, Machine
from tests.common.walkers import (
    ABSENT,
    DENIED,
    FETCH,
    GUEST,
    LONG_MODE,
    NESTED,
    NOT_ACCESSED,
    OK,
    READ,
    RESERVED,
    USER,
    WRITE,
)

P, RW, US, A, D, PS, NX = 1, 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7, 1 << 63
FRAME, GIANT = 0x12345, 7 << 18
PAGES = [BASE + 100 + i for i in range(4)]  # the tables of heights 3, 2, 1, 0
AT = 5 << 27 | 6 << 18 | 7 << 9 | 8
INDICES = (5, 6, 7, 8)


class ByHand:
    def __init__(self, stage: int, root: int = PAGES[0], top: int = 3, pages_1g: bool = True) -> None:
        self.machine = Machine()
        self.walkers = self.machine.walkers
        self.machine.library.variable("hv.x86.cpuid.features").pages_1g = pages_1g
        for page in PAGES:
            self.machine.ffi.memmove(self.machine.memory(page), bytes(4096), 4096)
            seen = self.machine.library.variable("hv.sim.visibility.seen")
            start = self.machine.ffi.cast("char *", seen) + (page - BASE) * 4096
            self.machine.ffi.memmove(start, bytes(4096), 4096)
        if stage in (LONG_MODE, NESTED):
            self.walkers.call("be_x86")
        self.space = self.walkers.call("watch", root, stage, 0, top, 1, False)

    def store(self, page: int, index: int, entry: int) -> None:
        address = self.machine.call("hv.sim.arch.direct_address", RAM_BASE + (page - BASE) * 4096)
        self.machine.call("hv.sim.arch.store_entry", address + index * 8, entry)
        self.machine.call("hv.sim.arch.publish_table")

    def entry(self, page: int, index: int) -> int:
        return int.from_bytes(self.machine.memory(page)[index * 8 : index * 8 + 8], "little")

    def way(self, *flags: int, leaf: int = FRAME) -> None:
        """Entries from the root down, which lead to AT."""
        for depth, bits in enumerate(flags):
            below = leaf if depth == len(flags) - 1 else PAGES[depth + 1]
            self.store(PAGES[depth], INDICES[depth], below << 12 | bits)

    def flags(self, levels: int = 4) -> list[int]:
        return [self.entry(PAGES[i], INDICES[i]) & (A | D) for i in range(levels)]

    def access(self, wanted: int, cpu: int = 0, at: int = AT):
        return self.walkers.call("access", cpu, self.space, at, wanted)

    def forget(self, cpus: int) -> None:
        guests = self.machine.library.variable("hv.sim.tlb.tlbs").spaces[self.space].stage in (GUEST, NESTED)
        self.machine.call("hv.sim.changes.forget", cpus, guests, PAGES[0], 0, False, AT)


def by_the_manual(stage: int, flags: list[int], wanted: int) -> tuple[int, int]:
    """A fault and its code (Intel SDM 3A, 4.6 and 4.7), for entries without reserved bits."""
    user = stage == NESTED or bool(wanted & USER)
    code = 2 * bool(wanted & WRITE) | 4 * user | 16 * bool(wanted & FETCH)
    if not all(f & P for f in flags):
        return ABSENT, code
    users, writable = (all(f & bit for f in flags) for bit in (US, RW))
    executable = not any(f & NX for f in flags)
    denied = user != users if stage == LONG_MODE else not users
    denied |= bool(wanted & WRITE) and not writable
    denied |= bool(wanted & FETCH) and not executable
    return (DENIED, code | 1) if denied else (OK, 0)


bits = st.sets(st.sampled_from([RW, US, NX, A, D])).map(sum)
often_present = st.sampled_from([P, P, P, P, P, 0])


@pytest.mark.parametrize("stage", [LONG_MODE, NESTED])
@given(flags=st.lists(st.tuples(often_present, bits).map(sum), min_size=4, max_size=4), wanted=st.integers(1, 15))
def test_who_may_do_what_on_x86(stage, flags, wanted):
    tables = ByHand(stage)
    tables.way(*flags)
    before = tables.flags()
    expected = by_the_manual(stage, flags, wanted)
    found = tables.access(wanted)
    assert (found.fault, found.code) == expected
    if expected[0] == OK:
        assert found.mfn == FRAME
        assert all(f & A for f in tables.flags())
        assert tables.flags()[3] & D == (D if wanted & WRITE else before[3] & D)
        assert [f & D for f in tables.flags()[:3]] == [f & D for f in before[:3]]
    else:
        assert tables.flags() == before
    assert not tables.walkers.violation()


ALL = P | RW | US


@pytest.mark.parametrize(
    ("flags", "leaf", "pages_1g"),
    [
        ((ALL | PS,), FRAME, True),  # no leaf stands in the root
        ((ALL, ALL | PS), GIANT, False),  # a CPU without pages of 1 GiB
        ((ALL, ALL | PS), GIANT + 512, True),  # a block that is not aligned to its size
        ((ALL, ALL, ALL | PS), 512 * 3 + 2, True),
    ],
)
def test_reserved_bits_fault(flags, leaf, pages_1g):
    tables = ByHand(NESTED, pages_1g=pages_1g)
    tables.way(*flags, leaf=leaf)
    found = tables.access(READ)
    assert (found.fault, found.code) == (RESERVED, 1 | 4 | 8)
    assert tables.walkers.violation().startswith("bad entry")


def test_blocks_map_what_lies_in_them():
    tables = ByHand(NESTED)
    tables.way(ALL, ALL | PS, leaf=GIANT)
    assert (tables.access(READ).mfn, tables.access(READ).height) == (GIANT + (7 << 9 | 8), 2)
    tables = ByHand(NESTED)
    tables.way(ALL, ALL, ALL | PS, leaf=3 << 9)
    assert (tables.access(READ).mfn, tables.access(READ).height) == ((3 << 9) + 8, 1)


def test_an_absent_entry_is_not_cached():
    tables = ByHand(LONG_MODE)
    assert tables.access(READ).fault == ABSENT
    tables.way(P, P, P, P)
    found = tables.access(READ)
    assert (found.fault, found.stale) == (OK, False)
    assert not tables.walkers.violation() and not tables.walkers.owed(tables.space)


def test_a_translation_is_used_until_it_is_flushed():
    tables = ByHand(LONG_MODE)
    tables.way(P, P, P, P)
    tables.store(PAGES[3], 8, 0)
    found = tables.access(READ)
    assert (found.fault, found.stale, found.mfn) == (OK, True, FRAME)
    assert tables.walkers.violation() == f"stale translation used at {AT:#x}"


def test_a_cached_table_is_used_until_it_is_flushed():
    """Paging-structure caches: the way to a page table that has been taken out."""
    tables = ByHand(LONG_MODE)
    tables.way(P, P, P, P)
    tables.store(PAGES[2], 7, 0)
    tables.store(PAGES[3], 9, 0x777 << 12 | P)
    assert tables.walkers.violation().startswith("reused"), "the CPU may reach what is written to the table"
    assert tables.access(READ).stale


def test_each_cpu_forgets_for_itself():
    tables = ByHand(LONG_MODE)
    tables.walkers.call("walk_on", tables.space, 0b101)
    tables.way(P, P, P, P)
    tables.store(PAGES[3], 8, 0)
    tables.forget(0b001)
    assert tables.access(READ, cpu=0).fault == ABSENT
    assert tables.access(READ, cpu=1).fault == ABSENT, "this one has never walked the tables"
    assert not tables.walkers.violation() and tables.walkers.owed(tables.space)
    assert tables.access(READ, cpu=2).stale
    assert tables.walkers.violation()
    tables.forget(0b100)
    assert tables.access(READ, cpu=2).fault == ABSENT and not tables.walkers.owed(tables.space)


def test_rights_that_grow_need_no_flush():
    """The CPU faults at most, and a page fault forgets."""
    tables = ByHand(LONG_MODE)
    tables.way(P | RW, P | RW, P | RW, P)
    tables.store(PAGES[3], 8, FRAME << 12 | P | RW)
    found = tables.access(WRITE)
    assert (found.fault, found.stale) == (DENIED, True)
    assert tables.access(WRITE).fault == OK and not tables.walkers.violation()


def test_a_write_that_the_tables_are_not_told_of_is_found():
    """Whoever clears a dirty bit has to flush, or the next write does not set it."""
    for flushed in (True, False):
        tables = ByHand(NESTED)
        tables.way(ALL, ALL, ALL, ALL)
        assert tables.access(WRITE).fault == OK and tables.flags()[3] == A | D
        tables.store(PAGES[3], 8, FRAME << 12 | ALL | A)
        if flushed:
            tables.forget(1)
        tables.access(WRITE)
        assert bool(tables.flags()[3] & D) == flushed
        assert bool(tables.walkers.violation()) != flushed


def test_what_another_guest_left_under_the_same_tag_is_used():
    tables = ByHand(NESTED)
    tables.way(ALL, ALL, ALL, ALL)
    tables.store(PAGES[3], 8, 0)
    other = tables.walkers.call("watch", BASE + 200, NESTED, 0, 3, 1, False)
    stranger = tables.walkers.call("watch", BASE + 201, NESTED, 1, 3, 1, False)
    assert tables.walkers.call("access", 0, stranger, AT, READ).fault == ABSENT
    assert not tables.walkers.violation()
    assert tables.walkers.call("access", 0, other, AT, READ).mfn == FRAME
    assert tables.walkers.violation()


def test_arms_access_flag_faults():
    """No format asks the hardware to set it."""
    page, readable, used = 3, 1 << 6, 1 << 10
    for flags, fault in ((page | readable, NOT_ACCESSED), (page | readable | used, OK), (page | used, DENIED)):
        tables = ByHand(GUEST, root=PAGES[1], top=2)
        for depth in (1, 2):
            tables.store(PAGES[depth], INDICES[depth], PAGES[depth + 1] << 12 | 3)
        tables.store(PAGES[3], 8, FRAME << 12 | flags)
        assert tables.access(READ, at=AT & (1 << 27) - 1).fault == fault
        assert tables.walkers.violation().startswith("bad entry") == (fault == NOT_ACCESSED)
