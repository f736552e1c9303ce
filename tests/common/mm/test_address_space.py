"""The hypervisor's own address space: windows that do not meet, and of which nothing is left when they are gone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.common.mm.simulated import EEXIST, EINVAL, ENOMEM, death_of
from tests.common.mm.spaces import ARM, BLOCK, PAGE, PC, PLENTY, REGION, Space
from tests.common.mm.tables import DEVICE, NORMAL, UNCACHED, R, W, attributes

MAX_RANGES = 128
GUARD = 1
BESIDE = 64 << 20  # bytes from the region to a fixed place

lengths = st.one_of(
    st.integers(1, 3 * PAGE),
    st.integers(1, 60).map(lambda n: n * PAGE),
    st.integers(BLOCK - 2, 3 * BLOCK).map(lambda n: n * PAGE),
)
starts = st.builds(
    lambda frame, offset: frame * PAGE + offset,
    st.one_of(st.integers(0, 2 * BLOCK), st.integers(0, 1 << 35), st.integers(0, 1 << 20).map(lambda n: n * BLOCK)),
    st.sampled_from([0, 0, 1, 0x7F8, PAGE - 1]),
)
kinds = st.sampled_from([attributes(R | W, m, 0) for m in (NORMAL, DEVICE, UNCACHED)] + [attributes(R, NORMAL, 0)])


class Window:
    def __init__(self, space: Space, address: int, start: int, length: int, kind: int) -> None:
        self.at, self.mfn, self.kind = space.page(address), start // PAGE, kind
        self.frames = (start % PAGE + length + PAGE - 1) // PAGE
        self.end = self.at + self.frames

    def leaves(self) -> list[tuple[int, int]]:
        """Page and height of each, with blocks wherever they fit."""
        found, done = [], 0
        while done < self.frames:
            block = (self.at + done) % BLOCK == 0 == (self.mfn + done) % BLOCK and self.frames - done >= BLOCK
            found.append((self.at + done, int(block)))
            done += BLOCK if block else 1
        return found


class SpaceAgainstModel(RuleBasedStateMachine):
    @initialize(kind=st.sampled_from([ARM, PC]))
    def power_on(self, kind):
        self.space = Space(kind)
        self.windows = {}

    @rule(start=starts, length=lengths, kind=kinds, tables=st.sampled_from([PLENTY, PLENTY, 0, 1, 2, 3]))
    def map(self, start, length, kind, tables):
        """Tables may run out half-way."""
        self.space.tables.left = tables
        error, address = self.space.map(start, length, kind)
        if error:
            assert error == ENOMEM
            assert tables != PLENTY or not self.fits(Window(self.space, 0, start, length, kind))
            return
        window = Window(self.space, address, start, length, kind)
        assert address % PAGE == start % PAGE
        assert address >> 47 == self.space.kind.start >> 47
        assert window.frames < BLOCK or (window.at - window.mfn) % BLOCK == 0
        self.windows[address] = window

    def fits(self, wanted):
        """Whether there is a hole for it."""
        taken = sorted((w.at, w.end) for w in self.windows.values())
        alignment = BLOCK if wanted.frames >= BLOCK else 1
        free = self.space.first
        for start, end in [*taken, (self.space.first + REGION, 0)]:
            at = free + GUARD
            at += (wanted.mfn - at) % alignment
            if at + wanted.frames + GUARD <= start:
                return len(taken) < MAX_RANGES
            free = end
        return False

    @precondition(lambda self: self.windows)
    @rule(data=st.data())
    def unmap(self, data):
        address = data.draw(st.sampled_from(sorted(self.windows)))
        self.space.unmap(address)
        window = self.windows.pop(address)
        assert not any(self.space.translate(at).present for at in (window.at, window.end - 1))

    @invariant()
    def windows_do_not_meet(self):
        last = getattr(self, "space", None) and self.space.first
        for window in sorted(self.windows.values(), key=lambda w: w.at) if last else ():
            assert window.at >= last + GUARD
            last = window.end
        assert not last or last + GUARD <= self.space.first + REGION

    @invariant()
    def they_show_what_they_should(self):
        for window in getattr(self, "windows", {}).values():
            for at in (window.at, (window.at + window.end) // 2, window.end - 1):
                seen = self.space.translate(at)
                access = R * seen.readable | W * seen.writable
                assert seen.present and not seen.executable and not seen.stale
                assert seen.mfn == window.mfn + at - window.at
                assert attributes(access, seen.memory, 0) == window.kind
            assert not self.space.translate(window.at - 1).present
            assert not self.space.translate(window.end).present

    @invariant()
    def nothing_is_kept(self):
        """Each frame that tables have is the root, on the way to a window, or spare."""
        if not hasattr(self, "space"):
            return
        assert self.space.troubles() == []
        assert self.space.space.windows.count == len(self.windows)
        linked = set()
        for window in self.windows.values():
            for at, height in window.leaves():
                linked.update((above, at >> 9 * (above + 1)) for above in range(height, 3))
        assert self.space.tables.used == 1 + len(linked) + self.space.space.tables.spare_count

    def teardown(self):
        if hasattr(self, "space"):
            for address in sorted(self.windows):
                self.space.unmap(address)
            self.windows = {}
            self.nothing_is_kept()


TestSpace = SpaceAgainstModel.TestCase
TestSpace.settings = settings(deadline=None, stateful_step_count=25, max_examples=40)


@pytest.mark.parametrize("kind", [ARM, PC], ids=str)
def test_addresses_are_used_again(kind):
    """The lowest hole that fits: between two windows, when the one between them has gone."""
    space = Space(kind)
    first, second, third = (space.mapped(frame << 20, 3 * PAGE) for frame in (1, 2, 3))
    space.unmap(second)
    assert space.mapped(4 << 20, 4 * PAGE) > third
    assert space.mapped(5 << 20, 3 * PAGE) == second
    assert (second - first, third - second) == (4 * PAGE, 4 * PAGE)


@pytest.mark.parametrize("kind", [ARM, PC], ids=str)
def test_there_are_as_many_windows_as_ranges(kind):
    space = Space(kind)
    addresses = [space.mapped(n * PAGE, 1) for n in range(MAX_RANGES)]
    assert space.map(0, 1) == (ENOMEM, None)
    space.unmap(addresses[70])
    assert space.mapped(0, 1) == addresses[70]


@given(start=st.integers(0, (1 << 64) - 1), length=st.integers(0, (1 << 64) - 1))
def test_any_numbers_at_all_may_be_asked_for(start, length):
    """No bytes, more than there can be, and what wraps around are refused, and nothing is left behind."""
    space = Space(PC)
    error, address = space.map(start, length)
    if length == 0 or start + length > 1 << 48:
        assert error == EINVAL
    elif error:
        assert error == ENOMEM and length > (REGION - BLOCK - 2) * PAGE
    else:
        space.unmap(address)
    assert space.space.windows.count == 0 and space.troubles() == []


@pytest.mark.parametrize("kind", [ARM, PC], ids=str)
def test_fixed_places(kind):
    """A place is taken once; one that runs into another is undone; what is removed may be placed anew."""
    space = Space(kind)
    there = kind.start + BESIDE
    pages = BLOCK + 7
    data = attributes(R | W, NORMAL, 0)
    assert space.call("place", there, 0x4000_0000, pages * PAGE, data)[0] == 0
    used = space.tables.used
    assert space.call("place", there - 4 * PAGE, 0, 8 * PAGE, data)[0] == EEXIST
    assert not space.translate(space.page(there) - 1).present
    assert space.call("lookup", there + 5 * PAGE)[1].mfn == 0x40005
    assert space.tables.used <= used + space.space.tables.spare_count
    space.call("remove", there, pages * PAGE)
    assert not space.call("lookup", there)[1].present
    assert space.tables.used == 1 + space.space.tables.spare_count and space.troubles() == []
    assert space.call("place", there, 0, PAGE, data)[0] == 0


def test_a_fixed_place_is_not_among_the_windows():
    space = Space(ARM)
    place = lambda: space.call("place", ARM.start + PAGE, 0, PAGE, attributes(R, NORMAL, 0))  # noqa: E731
    assert "among the windows" in death_of(place).said


@pytest.mark.parametrize("twice", [True, False])
def test_what_no_window_has_is_not_unmapped(twice):
    """A window twice, and a part of one."""
    space = Space(ARM)
    window = space.mapped(0, 2 * PAGE)
    if twice:
        space.unmap(window)
    assert "no range begins at" in death_of(lambda: space.unmap(window if twice else window + PAGE)).said
