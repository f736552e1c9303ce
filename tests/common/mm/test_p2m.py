"""A domain's physical map against a model of frames, kinds, access and references, under the model of a walker."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.common.mm.physmap import DEVICE, DOMAIN, NOTHING, RAM, READ_ONLY, PhysMap, R, W, X
from tests.common.mm.simulated import BASE, EEXIST, EINVAL, ENOENT, ENOMEM, death_of

ACCESS = {RAM: R | W | X, READ_ONLY: R | X, DEVICE: R | W}
DEVICE_FRAMES = 0x900_0000 >> 12 << 8
GFNS = st.one_of(
    st.integers(0, 2048),
    st.sampled_from([0, 511, 512, 1024, 0x40000, 0x4_0200, 0x7FFFF, 0xFFF_FE00, 0xFFF_FFFF, 1 << 28]),
)


class P2mAgainstModel(RuleBasedStateMachine):
    @initialize(tables=st.sampled_from([3, 5, 1000]))
    def power_on(self, tables):
        self.map = PhysMap(tables=tables)
        self.model = {}  # of each mapped guest frame: kind, frame, access
        self.probes = {0, 511, 512, 0x40000}

    def probe(self, start, count):
        self.probes.update((max(start - 1, 0), start, start + count // 2, start + count - 1, start + count))

    @rule(gfn=GFNS, order=st.sampled_from([0, 0, 1, 3, 9, 10]), kind=st.sampled_from([RAM, READ_ONLY, DEVICE]))
    def add(self, gfn, order, kind):
        size = 1 << order
        mfn = DEVICE_FRAMES
        if kind != DEVICE:
            error, mfn = self.map.machine.errno_or(self.map.machine.mm, "ownership.allocate_for", DOMAIN, order)
            if error:
                assert error == ENOMEM
                return
        error, done = self.map.change("add", gfn, mfn, order, kind)
        self.probe(gfn, size)
        if error:
            if kind != DEVICE:
                self.map.machine.mm("ownership.put_frames", mfn, size)
            taken = any(gfn + i in self.model for i in range(size))
            assert (error == EINVAL) == (gfn % size != 0 or gfn + size > 1 << 28)
            assert error in (EINVAL, ENOMEM) or taken
            return
        assert done == size
        for i in range(size):
            assert gfn + i not in self.model
            self.model[gfn + i] = (kind, mfn + i, ACCESS[kind])

    @rule(gfn=GFNS, frames=st.sampled_from([1, 2, 8, 512, 4096]))
    def remove(self, gfn, frames):
        error, done = self.map.change("remove", gfn, frames)
        self.probe(gfn, frames)
        if gfn not in self.model:
            assert error == ENOENT
            return
        assert error in (0, ENOMEM)
        assert error or 0 < done <= frames
        for i in range(done):
            kind, mfn, _ = self.model.pop(gfn + i)
            if kind != DEVICE:
                assert not self.map.machine.walkers.may_reach(mfn)

    @rule(
        gfn=GFNS, frames=st.sampled_from([1, 2, 8, 512, 4096]), access=st.sampled_from([0, R, R | W, R | X, R | W | X])
    )
    def protect(self, gfn, frames, access):
        error, done = self.map.change("protect", gfn, frames, access)
        self.probe(gfn, frames)
        assert (error == EINVAL) == (gfn + frames > 1 << 28) and error in (0, EINVAL, ENOMEM)
        for i in range(done):
            if gfn + i in self.model:
                self.model[gfn + i] = (*self.model[gfn + i][:2], access)

    @rule(gfn=GFNS, frames=st.integers(1, 2000))
    def populate(self, gfn, frames):
        error, done = self.map.call("populate", gfn, frames)
        self.probe(gfn, frames)
        if error:
            assert error in (ENOMEM, EEXIST, EINVAL)
            return
        assert 0 < done <= frames and gfn % done == 0
        first = self.map.lookup(gfn)[1]
        assert not any(bytes(self.map.machine.memory(first, done)))
        for i in range(done):
            assert gfn + i not in self.model
            self.model[gfn + i] = (RAM, first + i, ACCESS[RAM])

    @invariant()
    def map_and_walker_agree_with_the_model(self):
        if not hasattr(self, "map"):
            return
        self.map.sound()
        for gfn in self.probes:
            kind, mfn, access = self.model.get(gfn, (NOTHING, 0, 0))
            assert self.map.lookup(gfn) == (kind, mfn, access)
            if gfn < 1 << 28:
                assert self.map.seen(gfn) == ((mfn, access) if kind else None)

    def teardown(self):
        """A map that goes gives back all that it held: references, and every table."""
        if hasattr(self, "map"):
            self.map.tear_down()
            assert self.map.p2m.tables.used == 0
            assert self.map.machine.heap.free_frames == self.map.frames
            assert not self.map.machine.walkers.violation()


TestP2m = P2mAgainstModel.TestCase
TestP2m.settings = settings(deadline=None, stateful_step_count=25, max_examples=60)


def test_guest_memory_is_of_the_largest_blocks():
    physmap = PhysMap(16000)
    gfn, end = 0x40000, 0x40000 + 12288 + 3
    blocks = []
    while gfn < end:
        error, done = physmap.call("populate", gfn, end - gfn)
        assert not error
        blocks.append(done)
        gfn += done
    assert blocks[0] >= 4096 and sum(blocks) == 12288 + 3
    assert [physmap.call("lookup", g)[1].order for g in (0x40000, 0x40000 + 12287, end - 1)] == [9, 9, 0]
    physmap.sound()


def test_populating_falls_back_to_smaller_blocks():
    physmap = PhysMap(1000)
    gfn, done = 0x40000, 0
    while gfn < 0x40000 + 990:
        error, done = physmap.call("populate", gfn, 0x40000 + 990 - gfn)
        assert not error
        gfn += done
    error = 0
    while not error:
        error, done = physmap.call("populate", gfn, 1)
        gfn += 1
    assert error == ENOMEM and physmap.machine.heap.free_frames == 0
    physmap.tear_down()
    assert physmap.machine.heap.free_frames == 1000


def test_teardown_goes_in_bounded_steps():
    physmap = PhysMap(12000)
    for gfn in range(0, 8192, 1024):
        assert physmap.call("populate", gfn, 1024) == (0, 1024)
    assert physmap.change("add", 0xFFF_0000, DEVICE_FRAMES, 9, DEVICE) == (0, 512)
    before = physmap.machine.heap.free_frames
    physmap.call("teardown_step")
    assert 0 < physmap.machine.heap.free_frames - before <= 2048 + 10
    assert physmap.tear_down() > 3
    assert physmap.machine.heap.free_frames == 12000


def test_a_frame_with_another_reference_outlives_its_mapping():
    physmap = PhysMap()
    physmap.call("populate", 7, 1)
    _, mfn, _ = physmap.lookup(7)
    physmap.machine.mm("ownership.get_frame", mfn, DOMAIN)
    physmap.tear_down()
    assert physmap.machine.heap.free_frames == physmap.frames - 1
    physmap.machine.mm("ownership.put_frame", mfn)
    assert physmap.machine.heap.free_frames == physmap.frames


def test_references_are_dropped_behind_the_flush():
    physmap = PhysMap()
    physmap.call("populate", 7, 1)
    before = physmap.machine.heap.free_frames
    _, token = physmap.call("remove", 7, 1)
    assert physmap.machine.heap.free_frames == before
    physmap.flush(token)
    assert physmap.machine.heap.free_frames > before


def test_tables_are_charged_to_the_domain():
    physmap = PhysMap(tables=4)
    assert physmap.p2m.tables.used == 2
    assert physmap.change("add", 0, DEVICE_FRAMES, 0, DEVICE) == (0, 1)
    assert physmap.p2m.tables.used == 4
    assert physmap.change("add", 0x4_0000, DEVICE_FRAMES, 0, DEVICE) == (ENOMEM, 0)
    assert physmap.change("add", 0x4_0000, DEVICE_FRAMES, 9, DEVICE) == (ENOMEM, 0)
    assert physmap.change("add", 1, DEVICE_FRAMES, 0, DEVICE) == (0, 1)


def test_a_missing_flush_is_found():
    """Without invalidation the walker still reaches a frame that is the heap's again."""
    physmap = PhysMap()
    physmap.call("populate", 7, 1)
    _, mfn, _ = physmap.lookup(7)
    physmap.machine.walkers.drop("invalidate")
    physmap.change("remove", 7, 1)
    assert physmap.machine.walkers.may_reach(mfn)
    assert physmap.machine.walkers.owed(physmap.space)


def test_a_forgotten_flush_ends_in_a_panic():
    physmap = PhysMap()
    physmap.call("add", 0, BASE, 0, DEVICE)
    assert death_of(physmap.tear_down).panicked


def test_no_reference_is_dropped_on_a_devices_registers():
    physmap = PhysMap()
    assert physmap.change("add", 512, DEVICE_FRAMES, 9, DEVICE) == (0, 512)
    assert physmap.change("remove", 512, 512) == (0, 512)
    assert physmap.lookup(512)[0] == NOTHING
    physmap.sound()
