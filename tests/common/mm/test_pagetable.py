"""The page-table engine, with each format and walker, against a model of what is mapped and the model of a walker with
its caches."""

import functools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.common.mm.simulated import BASE, EEXIST, EINVAL, ENOMEM, Machine, death_of
from tests.common.mm.tables import (
    DEVICE,
    KINDS,
    NORMAL,
    PLENTY,
    UNCACHED,
    Map,
    R,
    Segment,
    Tables,
    W,
    X,
    attributes,
)
from tests.common.walkers import GUEST, HYPERVISOR, LONG_MODE, NESTED

SOUND = ["guest", "hypervisor", "device", "breakless", "long_mode", "nested"]
M2, G1 = 512, 512 * 512
EDGES = st.sampled_from([0, 1, 2, 511, 512, 513, 1024, 5 * 512, G1 - 512, G1 - 1, G1, G1 + 1, G1 + 512, 2 * G1, 3 * G1])
LENGTHS = st.sampled_from([1, 1, 2, 3, 511, 512, 513, 1024, 1536, G1 - 512, G1, G1 + 1, G1 + 512, 2 * G1])
ACCESSES = {
    GUEST: [R, R | W, R | X, R | W | X, W, 0, X],
    HYPERVISOR: [R, R | W, R | X],
    LONG_MODE: [R, R | W, R | X],
    NESTED: [R, R | W, R | X, R | W | X],
}


class EngineAgainstModel(RuleBasedStateMachine):
    @initialize(kind=st.sampled_from(SOUND))
    def power_on(self, kind):
        self.kind = KINDS[kind]
        self.tables = Tables(self.kind)
        self.model = Map()
        self.probes = {0, self.kind.limit - 1}
        self.bases = [0, self.kind.limit - 4 * G1, 511 * G1]

    def place(self, data):
        return data.draw(st.sampled_from(self.bases)) + data.draw(EDGES)

    def access(self, data):
        return data.draw(st.sampled_from(ACCESSES[self.kind.stage]))

    def limited(self, error, done):
        """An operation that ends early was refused memory; what it had done stays."""
        assert error in (0, ENOMEM)
        assert error == 0 or self.tables.source.left == 0
        return done

    @rule(data=st.data(), frames=LENGTHS, skew=st.sampled_from([0, 0, 0, 1, 512]), late=st.booleans())
    def map(self, data, frames, skew, late):
        at = self.place(data)
        mfn = 0x10_0000 + at % (1 << 28) + skew * data.draw(st.integers(0, 3))
        access, memory, kind = self.access(data), data.draw(st.integers(0, 2)), data.draw(st.integers(0, 15))
        error, done = self.tables.all_of("map", at, frames, mfn, attributes(access, memory, kind), late=late)
        end = at + frames
        self.probes.update((at - 1, at, end - 1, end))
        if end > self.kind.limit:
            assert (error, done) == (EINVAL, 0)
            return
        if error == EEXIST:
            assert self.model.within(at + done, end)
        elif error == 0:
            assert not self.model.within(at, end)
        else:
            self.limited(error, done)
        if done:
            self.model.map(Segment(at, at + done, mfn, access, memory, kind))

    @rule(data=st.data(), frames=LENGTHS, late=st.booleans())
    def unmap(self, data, frames, late):
        at = self.place(data)
        frames = min(frames, self.kind.limit - at)
        done = self.limited(*self.tables.all_of("unmap", at, frames, late=late))
        self.model.unmap(at, at + done)
        self.probes.update((at - 1, at, at + frames - 1, at + frames))

    @rule(data=st.data(), frames=LENGTHS, late=st.booleans())
    def protect(self, data, frames, late):
        at, access = self.place(data), self.access(data)
        frames = min(frames, self.kind.limit - at)
        done = self.limited(*self.tables.all_of("protect", at, frames, access, late=late))
        self.model.protect(at, at + done, access)

    @rule(data=st.data(), height=st.integers(0, 2))
    def split(self, data, height):
        at = self.place(data)
        order = self.tables.lookup(at).order
        error, token = self.tables.machine.errno_or(self.tables.call, "split", at, height)
        if error:
            self.limited(error, 0)
            return
        self.tables.flush(token)
        if self.model.at(at):
            assert self.tables.lookup(at).order == min(order, 9 * height)
            assert token.done == (1 << order if order > 9 * height else 0)

    @rule(data=st.data(), height=st.integers(0, 3))
    def coalesce(self, data, height):
        at = self.place(data)
        token = self.tables.call("coalesce", at, height)
        self.tables.flush(token)
        start = at >> 9 * height << 9 * height
        here = self.model.within(start, start + (1 << 9 * height))
        one = len(here) == 1 and here[0].end - here[0].start == 1 << 9 * height and here[0].mfn % (1 << 9 * height) == 0
        if token.done:
            assert one and token.done == 1 << 9 * height
            assert self.tables.lookup(at).order == 9 * height

    @rule(left=st.sampled_from([0, 1, 2, 3, PLENTY, PLENTY, PLENTY]))
    def memory_runs_short(self, left):
        self.tables.source.left = left

    @invariant()
    def tables_and_walker_agree_with_the_model(self):
        if hasattr(self, "tables"):
            assert self.tables.faults(self.model, self.probes | self.model.edges()) == []

    def teardown(self):
        """Whatever was mapped can be unmapped without memory, as blocks lie in the tables, and no table is left."""
        if not hasattr(self, "tables"):
            return
        self.tables.source.left = 0
        for segment in self.model.segments:
            at = segment.start
            while at < segment.end:
                table = 1 << self.tables.lookup(at).order + 9
                rest = min(segment.end, (at // table + 1) * table) - at
                error, done = self.tables.all_of("unmap", at, rest)
                assert error == 0 and done == rest
                at += rest
        self.tables.destroy()
        assert not self.tables.machine.walkers.violation()
        assert self.tables.source.used == 0


TestEngine = EngineAgainstModel.TestCase
TestEngine.settings = settings(deadline=None, stateful_step_count=25)


@pytest.fixture(params=SOUND)
def tables(request):
    return Tables(KINDS[request.param])


def sound(tables, *segments):
    model = Map()
    for segment in segments:
        model.map(segment)
    assert tables.faults(model, {0, tables.kind.limit - 1} | model.edges()) == []


RAM = attributes(R | W, NORMAL, 1)


@pytest.mark.parametrize(
    ("at", "mfn", "frames", "orders"),
    [
        (0, 0x1000000, 1, {0: 0}),
        (M2, 0x1000000, M2, {M2: 9}),
        (M2, 0x1000001, M2, {M2: 0}),
        (0, 0x1000000, G1, {0: 18, G1 - 1: 18}),
        (0, 0x1000200, G1, {0: 9, G1 - 1: 9}),
        (G1 - 1, 0x103FFFF, G1 + 2, {G1 - 1: 0, G1: 18, 2 * G1: 0}),
        (M2 - 1, 0x10001FF, 2 * M2, {M2 - 1: 0, M2: 9, 2 * M2: 0}),
        (511 * G1, 0x1000000, 3 * G1, {511 * G1: 18, 512 * G1: 18, 514 * G1 - 1: 18}),
    ],
)
def test_the_largest_leaves_that_fit(tables, at, mfn, frames, orders):
    assert tables.all_of("map", at, frames, mfn, RAM) == (0, frames)
    assert {frame: tables.lookup(frame).order for frame in orders} == orders
    sound(tables, Segment(at, at + frames, mfn, R | W, NORMAL, 1))


def test_a_refused_map_changes_nothing(tables):
    tables.all_of("map", 5, 1, 0x111, RAM)
    used = tables.source.used
    assert tables.all_of("map", 0, M2, 0x1000000, RAM) == (EEXIST, 0)
    assert tables.all_of("map", 0, 10, 0x1000000, RAM) == (EEXIST, 0)
    assert tables.all_of("map", tables.kind.limit - 1, 2, 0x1000000, RAM) == (EINVAL, 0)
    assert tables.machine.errno_or(tables.map, 8, 0x1000000, 0, RAM)[0] == EINVAL
    assert tables.machine.errno_or(tables.map, 2**63, 0x1000000, 2**63, RAM)[0] == EINVAL
    assert tables.source.used == used
    sound(tables, Segment(5, 6, 0x111, R | W, NORMAL, 1))


def test_a_map_without_memory_changes_nothing(tables):
    for left in range(tables.kind.top):
        tables.source.left = left
        error, done = tables.all_of("map", 0, 1, 0x111, RAM)
        if error == 0:
            break
        assert (error, done) == (ENOMEM, 0)
        sound(tables)
    tables.source.left = PLENTY
    assert tables.all_of("map", 7, 1, 0x111, RAM)[0] == 0


def test_a_split_without_memory_changes_nothing(tables):
    tables.all_of("map", 0, G1, 0x1000000, RAM)
    tables.source.left = 1
    assert tables.all_of("unmap", 3, 1) == (ENOMEM, 0)
    assert tables.all_of("protect", 3, 1, R) == (ENOMEM, 0)
    sound(tables, Segment(0, G1, 0x1000000, R | W, NORMAL, 1))
    assert tables.lookup(3).order == 18


def test_lookup_beyond_the_limit_finds_nothing(tables):
    for at in (tables.kind.limit, 2**52, 2**64 - 1):
        assert not tables.lookup(at).present


def test_split_and_coalesce_are_inverse(tables):
    tables.all_of("map", 0, G1, 0x1000000, RAM)
    used = tables.source.used
    tables.flush(tables.call("split", 1234, 0))
    assert tables.lookup(1234).order == 0 and tables.lookup(M2 * 9).order == 9
    sound(tables, Segment(0, G1, 0x1000000, R | W, NORMAL, 1))
    for height in (1, 2):
        token = tables.call("coalesce", 1234, height)
        tables.flush(token)
        assert token.done == 1 << 9 * height
    assert tables.lookup(1234).order == 18 and tables.source.used == used
    sound(tables, Segment(0, G1, 0x1000000, R | W, NORMAL, 1))


@pytest.mark.parametrize("difference", ["hole", "access", "frame", "alignment"])
def test_what_is_no_block_is_not_coalesced(tables, difference):
    mfn = 0x1000000 + (difference == "alignment")
    tables.all_of("map", 0, M2 - 1, mfn, RAM)
    if difference != "hole":
        tables.all_of("map", M2 - 1, 1, mfn + M2 - 1 + (difference == "frame"), RAM)
    if difference == "access":
        tables.all_of("protect", 100, 1, R)
    token = tables.call("coalesce", 0, 1)
    tables.flush(token)
    assert token.done == 0 and tables.lookup(0).order == 0


def test_empty_tables_are_freed_behind_the_flush(tables):
    empty = tables.source.used
    tables.all_of("map", 0, 1, 0x111, RAM)
    tables.all_of("map", 3 * G1, 1, 0x111, RAM)
    full = tables.source.used
    token = tables.call("unmap", 0, 1)
    assert tables.source.used == full
    tables.flush(token)
    assert tables.source.used < full
    tables.all_of("unmap", 3 * G1, 1)
    assert tables.source.used == empty
    sound(tables)


def test_many_tables_at_once(tables):
    """More tables leave by one flush than can wait for it."""
    for i in range(40):
        tables.all_of("map", i * M2, 1, 0x111 + i, RAM)
    assert tables.all_of("unmap", 0, 40 * M2, late=True) == (0, 40 * M2)
    assert tables.source.used == 1 << (tables.kind.root_tables - 1)
    sound(tables)


def test_what_is_mapped_anew_before_the_flush(tables):
    """The engine pays before it maps where the walker may remember something else."""
    tables.all_of("map", 0, M2, 0x1000000, RAM)
    tokens = [tables.call("unmap", 0, M2), tables.map(0, 0x2000001, M2, RAM)]
    for token in tokens:
        tables.flush(token)
    sound(tables, Segment(0, M2, 0x2000001, R | W, NORMAL, 1))


@pytest.mark.parametrize("order", [(7, 9, 8), (9, 8, 7), (8, 7, 9)])
def test_one_flush_pays_for_all(tables, order):
    """Frames that are flushed one by one are few; they lie on both sides of the first that changed."""
    tables.all_of("map", 0, 10, 0x1000001, RAM)
    tokens = [tables.call("unmap", at, 1) for at in order]
    for token in tokens:
        tables.flush(token)
    sound(tables, Segment(0, 7, 0x1000001, R | W, NORMAL, 1))


def test_a_frame_may_be_used_again_only_behind_the_flush(tables):
    tables.all_of("map", 100, 4, BASE + 5000, RAM)
    reach = lambda: tables.machine.walkers.may_reach(BASE + 5001)  # noqa: E731
    assert reach()
    token = tables.call("unmap", 100, 4)
    assert reach()
    tables.flush(token)
    assert not reach()


def test_a_dropped_duty_to_flush_is_a_panic():
    tables = Tables(KINDS["guest"])
    tables.map(0, 0x111, 1, RAM)
    died = death_of(lambda: tables.call("destroy"))
    assert died.panicked


@pytest.mark.parametrize("access", [0, W, X, W | X, R | W | X])
def test_the_hypervisor_maps_nothing_writable_and_executable(access):
    tables = Tables(KINDS["hypervisor"])
    assert death_of(lambda: tables.map(0, 0x111, 1, attributes(access, NORMAL, 0))).panicked


# The proof that the walker's model finds what is missing: a sound life fails when a part of the protocol is gone.


def life(tables):
    """One of everything. The map that it leaves, and frames of interest."""
    model = Map()
    first = Segment(0, G1, 0x1000000, R | W, NORMAL, 1)
    tables.all_of("map", first.start, G1, first.mfn, RAM)
    model.map(first)
    for name, at, frames, *more in [("protect", 5, 1, R), ("unmap", 2 * M2, 3), ("unmap", 0, 1), ("unmap", 8 * M2, M2)]:
        tables.all_of(name, at, frames, *more)
        if name == "unmap":
            model.unmap(at, at + frames)
        else:
            model.protect(at, at + frames, *more)
    again = Segment(8 * M2, 9 * M2, 0x90000, R, DEVICE, 3)
    tables.all_of("map", again.start, M2, again.mfn, attributes(R, DEVICE, 3))
    model.map(again)
    tables.flush(tables.call("split", 20 * M2, 0))
    tables.flush(tables.call("coalesce", 20 * M2, 1))
    return model


def faults_of_a_life(kind, part=None, **knobs):
    tables = Tables(KINDS[kind])
    if part:
        tables.walkers.drop(part)
    for name, setting in knobs.items():
        setattr(tables.walkers.rules if name == "needs_break" else tables.walkers.visibility, name, setting)
    model = life(tables)
    return tables.faults(model, {0, 5, 1000, 2 * M2, 8 * M2, 20 * M2, G1 - 1, G1} | model.edges())


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_life(kind):
    assert faults_of_a_life(kind) == []


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("guest", "invalidate"),
        ("hypervisor", "invalidate"),
        ("device", "invalidate"),
        ("long_mode", "invalidate"),
        ("nested", "invalidate"),
        ("breakless", "invalidate"),
        ("guest", "publish"),
        ("hypervisor", "publish"),
        ("breakless", "publish"),
        ("device", "clean"),
    ],
)
def test_a_missing_part_of_the_protocol_is_found(kind, part):
    assert faults_of_a_life(kind, part)


def test_a_walker_that_does_not_snoop_needs_cleaned_tables():
    assert faults_of_a_life("guest", snoops=False)


def test_a_missing_break_is_found():
    found = faults_of_a_life("breakless", needs_break=True)
    assert any("no break" in fault for fault in found)


def test_a_missing_flush_of_one_operation_is_found():
    """Each operation for itself: without its flush the walker may go by what was there before."""
    for name, more in (("unmap", ()), ("protect", (R,))):
        tables = Tables(KINDS["guest"])
        tables.all_of("map", 0, M2, 0x1000000, RAM)
        tables.call(name, 0, M2, *more)
        assert tables.owed(), name
        assert tables.translate(7).writable, name


def test_a_store_without_a_barrier_is_not_seen():
    tables = Tables(KINDS["guest"])
    tables.map(0, 0x1000000, 1, RAM)
    assert tables.lookup(0).present and not tables.translate(0).present
    assert tables.owed() & 1


def test_entries_of_stage_2():
    """Arm DDI 0487, D8.3: bits 1:0 kind, 5:2 memory, 7:6 access, 9:8 inner shareable, 10 accessed, 54 no execution."""
    leaf = functools.partial(Machine().call, "hv.arm64.stage2.Stage2.leaf")
    assert leaf(0x12345, 0, attributes(R | W, NORMAL, 0)) == 1 << 54 | 0x1234_5000 | 0b111_1111_1111
    assert leaf(0x200, 1, attributes(R | W | X, DEVICE, 0)) == 0x20_0000 | 0b111_1100_0101
    assert leaf(0, 2, attributes(R | X, NORMAL, 5)) == 5 << 55 | 0b111_0111_1101
    assert Machine().call("hv.arm64.stage2.Stage2.table", 0x777) == 0x77_7003


def test_entries_of_stage_1():
    """As stage 2, but for bits 4:2: the index into MAIR_EL2; 6: one; 7: read-only."""
    leaf = functools.partial(Machine().call, "hv.arm64.stage1.Stage1.leaf")
    assert leaf(0x12345, 0, attributes(R | W, NORMAL, 0)) == 1 << 54 | 0x1234_5000 | 0b111_0100_0011
    assert leaf(0x200, 1, attributes(R | W, DEVICE, 0)) == 1 << 54 | 0x20_0000 | 0b111_0100_0101
    assert leaf(0, 2, attributes(R | X, UNCACHED, 0)) == 0b111_1100_1001


@pytest.mark.parametrize(
    ("pa_range", "bits", "size"), [(0, 32, 0), (1, 36, 1), (2, 40, 2), (4, 40, 4), (5, 40, 5), (6, 40, 5)]
)
def test_vtcr(pa_range, bits, size):
    vtcr = Machine().call("hv.arm64.stage2.vtcr_for", pa_range, True)
    assert vtcr & 63 == 64 - bits and vtcr >> 16 & 7 == size
    assert vtcr & ~(63 | 7 << 16) == 1 << 31 | 1 << 19 | 3 << 12 | 1 << 10 | 1 << 8 | 1 << 6
