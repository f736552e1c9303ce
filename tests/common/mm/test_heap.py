"""The heap against a model that knows each frame: overlap, alignment, merging, exhaustion, NUMA nodes, and what the
lists hold."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.common.mm.simulated import BASE, ENOMEM, MM, RAM_FRAMES, Machine, death_of

# Banks with holes and odd ends, as (first frame, frames), what of each the heap does not get at its beginning, and the
# NUMA node that it is of. Those without a hole between them are given in one go.
SHAPES = [
    [(BASE, 4096, 64, 0)],
    [(BASE + 3, 1500, 61, 0), (BASE + 2048, 777, 0, 0), (BASE + 0x10_0000, 1024, 5, 0)],
    [(BASE + 511, 514, 17, 0), (BASE + 1025, 3, 0, 0)],
    [(0x10_0000, 2049, 0, 0), (0x20_0000, 2047, 0, 0)],
    [(BASE, 1000, 16, 0), (BASE + 1000, 1048, 0, 1), (BASE + 2048, 512, 0, 0), (BASE + 2560, 7, 0, 3)],
    [(BASE, 300, 16, 5), (BASE + 512, 300, 16, 2)],
]
ORDERS = st.one_of(st.integers(0, 3), st.integers(0, 10), st.just(18))


class HeapAgainstModel(RuleBasedStateMachine):
    @initialize(shape=st.sampled_from(SHAPES))
    def power_on(self, shape):
        self.machine = Machine()
        self.taken = {}
        self.free = set()
        self.banks = {}  # by frame: the bank's first frame, and its node
        records = 0
        for start, count, _, node in shape:
            self.machine.add_bank(start, count, records, node)
            records += count // 256 + 1
            self.banks |= dict.fromkeys(range(start, start + count), (start, node))
        self.zones = max(node for *_, node in shape) + 1
        parts = []
        for start, count, kept, _ in shape:
            if parts and kept == 0 and parts[-1][1] == start:
                parts[-1][1] = start + count
            else:
                parts.append([start + kept, start + count])
        for start, end in parts:
            self.machine.mm("heap.Heap.give", self.machine.heap, start, end)
            self.free.update(range(start, end))
        self.all = set(self.free)

    def fits(self, order, node=None):
        """Whether an aligned block of the order is free, of any node or of this one."""
        size = 1 << order
        free = {frame for frame in self.free if node is None or self.banks[frame][1] == node}
        whole = lambda frame: all(  # noqa: E731
            frame + i in free and self.banks[frame + i] == self.banks[frame] for i in range(size)
        )
        return any(whole(frame) for frame in free if frame % size == 0)

    def nodes_from(self, node):
        first = node if node < self.zones else 0
        return [(first + i) % self.zones for i in range(self.zones)]

    def take(self, mfn, order):
        block = range(mfn, mfn + (1 << order))
        assert mfn % (1 << order) == 0
        assert self.free.issuperset(block) and len({self.banks[frame] for frame in block}) == 1
        self.free.difference_update(block)
        self.taken[mfn] = order

    @rule(order=ORDERS, here=st.integers(0, 6))
    def allocate(self, order, here):
        """By a CPU of the node: what is there goes first."""
        self.machine.library_host.per_cpu(0, "hv.common.mm.nodes.CpuNode").node = here
        mfn = self.machine.allocate(order)
        if mfn is None:
            assert not self.fits(order)
            return
        near = next(node for node in self.nodes_from(here) if self.fits(order, node))
        assert self.banks[mfn][1] == near
        self.take(mfn, order)

    @rule(order=ORDERS, node=st.integers(0, 6))
    def allocate_largest(self, order, node):
        """What the node has in one piece, up to the order, goes before larger pieces of others."""
        error, block = self.machine.errno_or(self.machine.mm, "heap.Heap.largest_near", self.machine.heap, order, node)
        if error:
            assert error == ENOMEM and not self.free
            return
        near = next(n for n in self.nodes_from(node) if self.fits(0, n))
        assert self.banks[block.mfn][1] == near
        assert block.order == max(o for o in range(order + 1) if self.fits(o, near))
        self.take(block.mfn, block.order)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give_back(self, data):
        mfn = data.draw(st.sampled_from(sorted(self.taken)))
        order = self.taken.pop(mfn)
        self.machine.free(mfn, order)
        self.free.update(range(mfn, mfn + (1 << order)))

    @rule()
    def take_all(self):
        """Exhausts the heap with single frames, and gives them back in another order."""
        if len(self.free) > 700:
            return
        held = []
        while (mfn := self.machine.allocate(0)) is not None:
            held.append(mfn)
        assert set(held) == self.free and len(held) == len(self.free)
        for mfn in [*held[::2], *held[1::2]]:
            self.machine.free(mfn, 0)

    @invariant()
    def lists_hold_what_is_free(self):
        if not hasattr(self, "machine"):
            return
        assert self.machine.heap.free_frames == len(self.free)
        blocks = self.machine.free_blocks()
        assert sum(1 << order for _, order in blocks) == len(self.free)
        free = set(blocks)
        for mfn, order in blocks:
            assert mfn % (1 << order) == 0
            assert mfn in self.free and mfn + (1 << order) - 1 in self.free
            other = mfn ^ 1 << order
            halves = order != 18 and (other, order) in free and self.banks[other] == self.banks[mfn]
            assert not halves, "two halves that were not merged"

    def teardown(self):
        """When all is back, the heap is as it was at the start."""
        if not hasattr(self, "machine"):
            return
        for mfn, order in self.taken.items():
            self.machine.free(mfn, order)
        assert self.machine.heap.free_frames == len(self.all)
        banks = {self.banks[frame] for frame in self.all}
        parts = [{frame for frame in self.all if self.banks[frame] == bank} for bank in banks]
        assert len(self.machine.free_blocks()) == sum(len(largest_blocks(part)) for part in parts)


def largest_blocks(frames):
    """The fewest aligned blocks that make up a set of frames."""
    found = []
    left = sorted(frames)
    at = 0
    while at < len(left):
        order = 0
        while order < 18 and left[at] % (2 << order) == 0 and left[at] + (2 << order) - 1 in frames:
            order += 1
        found.append((left[at], order))
        at += 1 << order
    return found


TestHeap = HeapAgainstModel.TestCase
TestHeap.settings = settings(deadline=None, stateful_step_count=40)


@pytest.fixture
def machine():
    return Machine().with_heap()


def test_an_order_beyond_the_largest_is_refused(machine):
    for order in (19, 31, 32, 63, 2**32 - 1):
        assert machine.errno_or(machine.mm, "heap.Heap.allocate", machine.heap, order) == (ENOMEM, None)


def test_zeroed_memory_is_zero(machine):
    for order in (0, 1, 9):
        mfn = machine.allocate(order)
        machine.memory(mfn, 1 << order)[:] = b"\xff" * (4096 << order)
        machine.free(mfn, order)
        again = machine.mm("heap.Heap.allocate_zeroed", machine.heap, order)
        assert again == mfn
        assert bytes(machine.memory(again, 1 << order)) == bytes(4096 << order)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda m, mfn: m.free(mfn, 2),
        lambda m, mfn: m.free(mfn + 1, 3),
        lambda m, mfn: (m.free(mfn, 3), m.free(mfn, 3)),
        lambda m, mfn: m.free(BASE + RAM_FRAMES, 0),
        lambda m, mfn: m.free(BASE, 0),
    ],
    ids=["order", "inside", "twice", "no memory", "not the heap's"],
)
def test_a_wrong_free_is_a_panic(machine, wrong):
    mfn = machine.allocate(3)
    assert death_of(lambda: wrong(machine, mfn)).panicked


def test_the_largest_block():
    largest = Machine().library.function(MM + "heap.largest_block")[0]
    assert largest(0, 1) == 0
    assert largest(0, 1 << 30) == 18
    assert largest(512, 1024) == 9
    assert largest(513, 1024) == 0
    assert largest(1 << 20, 1000) == 9


def test_blocks_of_a_gibibyte():
    """Memory that is only counted: an order of 18 comes back whole."""
    machine = Machine()
    machine.add_bank(0x10_0000, 0x8_0000, 0)
    machine.mm("heap.Heap.give", machine.heap, 0x10_0000, 0x18_0000)
    assert sorted(machine.free_blocks()) == [(0x10_0000, 18), (0x14_0000, 18)]
    first, second = machine.allocate(18), machine.allocate(18)
    assert {first, second} == {0x10_0000, 0x14_0000}
    assert machine.allocate(0) is None
    machine.free(first, 18)
    small = machine.allocate(0)
    assert machine.allocate(18) is None
    machine.free(small, 0)
    assert machine.allocate(18) == first


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("keep", [False, True])
def test_a_guarded_block_goes_back_unless_it_is_kept(machine, keep, fail):
    before = machine.heap.free_frames
    error, mfn = machine.errno_or(machine.call, "hv.sim.fixtures.borrow", 3, keep, fail)
    assert (error == 5) == fail
    assert machine.heap.free_frames == before - 8 * keep
    if keep and not fail:
        machine.free(mfn, 3)
        assert machine.heap.free_frames == before


def test_a_guard_without_memory(machine):
    assert machine.errno_or(machine.call, "hv.sim.fixtures.borrow", 18, False, False) == (ENOMEM, None)


@pytest.mark.parametrize(
    ("bytes_", "frames", "order"),
    [
        (0, 0, 0),
        (1, 1, 0),
        (4096, 1, 0),
        (4097, 2, 1),
        (8193, 3, 2),
        (1 << 30, 1 << 18, 18),
        (1 << 30 | 1, 1 << 18 | 1, 19),
    ],
)
def test_sizes_in_frames(bytes_, frames, order):
    machine = Machine()
    assert machine.mm("types.frames_in", bytes_) == frames
    assert machine.mm("types.order_for", bytes_) == order
