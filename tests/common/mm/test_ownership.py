"""Frames of domains against a model of owners and counts; the heap has exactly what nobody refers to."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.common.mm.simulated import BASE, E2BIG, ENOMEM, EOVERFLOW, ESRCH, RAM_BASE, RAM_FRAMES, Machine, death_of

OWNED = 3
NOBODY = 0x7FF4
FRAMES = 700


class OwnershipAgainstModel(RuleBasedStateMachine):
    @initialize()
    def power_on(self):
        self.machine = Machine().with_heap(FRAMES)
        self.references = {}  # of each frame that is owned: the owner and how many

    @rule(owner=st.integers(0, 3), order=st.integers(0, 9))
    def allocate(self, owner, order):
        error, mfn = self.machine.errno_or(self.machine.mm, "ownership.allocate_for", owner, order)
        if error:
            assert error == ENOMEM
            return
        block = range(mfn, mfn + (1 << order))
        assert not self.references.keys() & set(block)
        assert not any(bytes(self.machine.memory(mfn, 1 << order)))
        self.machine.memory(mfn, 1 << order)[:] = b"\xa5" * (4096 << order)
        self.references.update(dict.fromkeys(block, (owner, 1)))

    @precondition(lambda self: self.references)
    @rule(data=st.data(), owner=st.integers(0, 3))
    def get(self, data, owner):
        mfn = data.draw(st.sampled_from(sorted(self.references)))
        right, count = self.references[mfn]
        error, _ = self.machine.errno_or(self.machine.mm, "ownership.get_frame", mfn, owner)
        assert error == (0 if owner == right else ESRCH)
        if not error:
            self.references[mfn] = (right, count + 1)

    @rule(mfn=st.sampled_from([0, BASE - 1, BASE, BASE + 63, BASE + RAM_FRAMES, 2**52]), owner=st.integers(0, 3))
    def get_what_nobody_owns(self, mfn, owner):
        assert self.machine.errno_or(self.machine.mm, "ownership.get_frame", mfn, owner)[0] == ESRCH

    @precondition(lambda self: self.references)
    @rule(data=st.data(), length=st.sampled_from([1, 1, 2, 8, 64, 512]))
    def put(self, data, length):
        mfn = data.draw(st.sampled_from(sorted(self.references)))
        end = mfn
        while end < mfn + length and end in self.references:
            end += 1
        self.machine.mm("ownership.put_frames", mfn, end - mfn)
        for frame in range(mfn, end):
            owner, count = self.references.pop(frame)
            if count > 1:
                self.references[frame] = (owner, count - 1)

    @invariant()
    def records_and_heap_agree_with_the_model(self):
        if not hasattr(self, "machine"):
            return
        free = {f for mfn, order in self.machine.free_blocks() for f in range(mfn, mfn + (1 << order))}
        assert free == set(range(BASE + 64, BASE + 64 + FRAMES)) - self.references.keys()
        for mfn, (owner, count) in self.references.items():
            record = self.machine.record(mfn)
            assert (record.use, record.owner, record.count) == (OWNED, owner, count)

    def teardown(self):
        if hasattr(self, "machine"):
            for mfn, (_, count) in self.references.items():
                for _ in range(count):
                    self.machine.mm("ownership.put_frame", mfn)
            assert self.machine.heap.free_frames == FRAMES


TestOwnership = OwnershipAgainstModel.TestCase
TestOwnership.settings = settings(deadline=None, stateful_step_count=30, max_examples=60)


@pytest.fixture
def machine():
    return Machine().with_heap(FRAMES)


def test_a_freed_frame_has_no_owner(machine):
    mfn = machine.mm("ownership.allocate_for", 5, 0)
    machine.mm("ownership.put_frame", mfn)
    assert machine.record(mfn).owner == NOBODY
    assert machine.errno_or(machine.mm, "ownership.get_frame", mfn, 5)[0] == ESRCH


def test_references_do_not_overflow(machine):
    mfn = machine.mm("ownership.allocate_for", 5, 0)
    machine.record(mfn).count = 0x7FFF_FFFF
    assert machine.errno_or(machine.mm, "ownership.get_frame", mfn, 5)[0] == EOVERFLOW
    assert machine.record(mfn).count == 0x7FFF_FFFF


def test_a_reference_that_is_not_the_last_leaves_the_heap_alone(machine):
    """Each copy to and from a guest drops such a one: no lock of the whole machine is taken for it."""
    mfn = machine.mm("ownership.allocate_for", 5, 0)
    machine.mm("ownership.get_frame", mfn, 5)
    before = machine.heap.lock.next_ticket
    machine.mm("ownership.put_frame", mfn)
    assert machine.heap.lock.next_ticket == before
    machine.mm("ownership.put_frame", mfn)
    assert machine.heap.lock.next_ticket == before + 1


def test_a_reference_too_many_dropped_is_a_panic(machine):
    mfn = machine.mm("ownership.allocate_for", 5, 0)
    machine.mm("ownership.put_frame", mfn)
    assert death_of(lambda: machine.mm("ownership.put_frame", mfn)).panicked
    assert death_of(lambda: machine.mm("ownership.put_frame", machine.allocate(0))).panicked


def test_what_a_guest_gets_is_clean_in_memory(machine):
    """The guest may run with its caches off: it sees what a walker would that does not snoop."""
    machine.walkers.visibility.snoops = False
    before = machine.walkers.visibility.count
    machine.mm("ownership.allocate_for", 5, 3)
    assert machine.walkers.visibility.count == before


def test_banks_that_the_table_cannot_count():
    machine = Machine()
    refused = lambda frames: machine.errno_or(table, "add_bank", 0, frames, RAM_BASE, 0)[0] == E2BIG  # noqa: E731

    def table(name, *arguments):
        return machine.mm(f"frames.FrameTable.{name}", machine.frames, *arguments)

    assert refused(0xFFFF_FFFF) and refused(1 << 40)
    for i in range(128):
        machine.add_bank(0x10_0000 + i * 100, 10, i)
    assert refused(1)
    every = [0x10_0000 + i * 100 + j for i in range(128) for j in range(10)]
    assert [table("index_of", mfn) for mfn in every] == list(range(1, 1281))
    assert [table("mfn_at", index) for index in range(1, 1281)] == every
    assert not any(table("index_of", 0x10_0000 + i * 100 + 10) for i in range(128))
