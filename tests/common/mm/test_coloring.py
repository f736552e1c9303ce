"""Colours of the last cache: how many there are, and the heap's frames of each against a model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.common.host import host
from tests.common.mm.simulated import BASE, ENOMEM, MM, Machine
from tests.common.mm.test_heap import largest_blocks

# Banks as (first frame, frames, what the heap does not get at the beginning, NUMA node)
SHAPES = [
    [(BASE, 1024, 64, 0)],
    [(BASE + 3, 700, 61, 0), (BASE + 1024, 333, 0, 0)],
    [(BASE, 500, 90, 0), (BASE + 512, 500, 0, 1)],
]
LISTS = 8000  # the frame from which the lists lie
COUNTS = [2, 16, 32, 128]


class ColoredHeap(RuleBasedStateMachine):
    """What is asked for by colours has them, comes from the smallest block that has such a frame, and from another node
    only when this one has none of them; what is asked for without colours may have any; all that goes back merges."""

    @initialize(shape=st.sampled_from(SHAPES), count=st.sampled_from(COUNTS))
    def power_on(self, shape, count):
        self.machine = Machine()
        self.count = count
        self.free = set()
        self.taken = {}
        self.node = {}
        records = 0
        for start, frames, _, node in shape:
            self.machine.add_bank(start, frames, records, node)
            records += frames // 256 + 1
            self.node |= dict.fromkeys(range(start, start + frames), node)
        self.machine.begin_colors(count, LISTS)
        for start, frames, kept, _ in shape:
            self.machine.mm("heap.Heap.give", self.machine.heap, start + kept, start + frames)
            self.free.update(range(start + kept, start + frames))
        self.all = set(self.free)
        self.whole = sorted(self.machine.free_blocks())
        self.nodes = sorted({node for *_, node in shape})

    def take(self, mfn, order):
        block = range(mfn, mfn + (1 << order))
        assert self.free.issuperset(block)
        self.free.difference_update(block)
        self.taken[mfn] = order

    @rule(data=st.data(), node=st.integers(0, 2), repeat=st.integers(1, 40))
    def allocate_by_colors(self, data, node, repeat):
        colors = data.draw(st.sets(st.integers(0, self.count - 1), min_size=1, max_size=8))
        first = data.draw(st.integers(0, self.count))
        for _ in range(repeat):
            blocks = self.machine.free_blocks()
            error, mfn = self.machine.errno_or(allocate, self.machine, colors, first, node)
            near = node if node in self.nodes else 0
            others = [other for other in self.nodes if other != near]
            suitable = [
                [frame for frame in self.free if self.node[frame] == n and frame % self.count in colors]
                for n in (near, *others)
            ]
            frames = next((frames for frames in suitable if frames), None)
            if frames is None:
                assert error == ENOMEM
                return
            nearest = min((frame - first) % self.count for frame in frames)
            best = [frame for frame in frames if (frame - first) % self.count == nearest]
            orders = {start + i: order for start, order in blocks for i in range(1 << order)}
            assert mfn in best and orders[mfn] == min(orders[frame] for frame in best)
            self.take(mfn, 0)
            first = mfn % self.count + 1

    @rule(order=st.integers(0, 9))
    def allocate_any(self, order):
        mfn = self.machine.allocate(order)
        if mfn is None:
            assert not any(size >= order for _, size in self.machine.free_blocks())
        else:
            assert mfn % (1 << order) == 0
            self.take(mfn, order)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give_back(self, data):
        for mfn in data.draw(st.lists(st.sampled_from(sorted(self.taken)), unique=True, min_size=1, max_size=60)):
            order = self.taken.pop(mfn)
            self.machine.free(mfn, order)
            self.free.update(range(mfn, mfn + (1 << order)))

    @invariant()
    def lists_hold_what_is_free(self):
        if not hasattr(self, "machine"):
            return
        listed = [mfn + i for mfn, order in self.machine.free_blocks() for i in range(1 << order)]
        assert len(listed) == len(self.free) == self.machine.heap.free_frames and set(listed) == self.free

    def teardown(self):
        """When all is back, the heap is as it was at the start."""
        if not hasattr(self, "machine"):
            return
        for mfn, order in self.taken.items():
            self.machine.free(mfn, order)
        assert sorted(self.machine.free_blocks()) == self.whole


TestColoredHeap = ColoredHeap.TestCase
TestColoredHeap.settings = settings(deadline=None, stateful_step_count=30)


def allocate(machine, colors, first, node=0):
    wanted = machine.library.new(f"{MM}colors.ColorSet")
    for color in colors:
        wanted.members.words[color // 64] |= 1 << color % 64
    return machine.mm("colored.allocate_colored", wanted, first, node)


def test_all_frames_of_some_colors_are_found():
    """A whole heap of single frames; then there is none, and of other colours there still are."""
    machine = Machine()
    machine.add_bank(BASE, 2048, 0)
    machine.begin_colors(16, LISTS)
    machine.mm("heap.Heap.give", machine.heap, BASE + 64, BASE + 2048)
    whole = machine.free_blocks()
    found = []
    while (answer := machine.errno_or(allocate, machine, {3, 9}, len(found)))[0] == 0:
        found.append(answer[1])
    assert answer[0] == ENOMEM
    assert sorted(found) == [frame for frame in range(BASE + 64, BASE + 2048) if frame % 16 in (3, 9)]
    other = allocate(machine, {4}, 0)
    assert other % 16 == 4
    for mfn in [*found, other]:
        machine.free(mfn, 0)
    assert machine.free_blocks() == whole
    assert len(whole) == len(largest_blocks(range(BASE + 64, BASE + 2048)))


@pytest.mark.parametrize(
    ("line", "told", "way", "count"),
    [
        ("", 0, 0x1_0000, 16),
        ("", 0, 0x2_0000, 32),
        ("", 0x8000, 0x2_0000, 8),
        ("llc-size=1M llc-nr-ways=16", 0x8000, 0x2_0000, 16),
        ("llc-size=1024 llc-nr-ways=0x10", 0, 0, 16),
        ("llc-size=1M", 0, 0x2_0000, 32),
        ("llc-nr-ways=16", 0x8000, 0x2_0000, 8),
        ("llc-size=1M llc-nr-ways=12", 0, 0x2_0000, 0),
        ("llc-size=16K llc-nr-ways=8", 0, 0x2_0000, 0),
        ("", 0, 0x800, 0),
        ("", 0, 0x1000, 1),
        ("", 0, 0x1_8000, 0),
        ("", 0, 0, 0),
        ("llc-size=64M llc-nr-ways=1", 0, 0, 128),
    ],
)
def test_how_many_colors_there_are(line, told, way, count):
    machine = Machine()
    coloring = machine.library.variable(f"{MM}coloring.coloring")
    coloring.told, coloring.way = told, way
    machine.call("hv.common.kernel.cmdline.read_command_line", line)
    assert machine.mm("coloring.Coloring.count", coloring) == count


@pytest.mark.parametrize("line", ["llc-size=much", "llc-nr-ways=", "llc-coloring=maybe"])
def test_what_is_no_value_is_said(line):
    machine = Machine()
    machine.call("hv.common.kernel.cmdline.read_command_line", line)
    coloring = machine.library.variable(f"{MM}coloring.coloring")
    assert (coloring.size, coloring.ways, coloring.off) == (0, 0, False)


def test_switched_off():
    machine = Machine()
    coloring = machine.library.variable(f"{MM}coloring.coloring")
    for line, off in (("llc-coloring=off", True), ("llc-coloring", False), ("no-llc-coloring", True)):
        machine.call("hv.common.kernel.cmdline.read_command_line", line)
        assert coloring.off == off


# Cache registers

CORTEX_A53_L2 = 0x707FE07A  # 1 MiB in 16 ways, lines of 64 bytes (Arm DDI 0500, 4.3.23)
CORTEX_A57_L2 = 0x70FFE07A  # 2 MiB in 16 ways (Arm DDI 0488, 4.3.24)


@pytest.mark.parametrize(("size", "way"), [(CORTEX_A53_L2, 0x1_0000), (CORTEX_A57_L2, 0x2_0000)])
def test_ways_of_real_caches(size, way):
    assert host().call("hv.arm64.caches.way_bytes", size, False) == way


@given(st.integers(1, 1 << 15), st.integers(4, 11), st.integers(1, 1 << 10), st.booleans())
def test_ways_in_both_layouts(sets, line, ways, wide):
    sets = sets if wide or sets < 1 << 15 else (1 << 15) - 1
    raw = (ways - 1) << 3 | (line - 4) | (sets - 1) << (32 if wide else 13)
    assert host().call("hv.arm64.caches.way_bytes", raw, wide) == sets << line


@pytest.mark.parametrize(
    ("clidr", "level"),
    [(0x0A20_0023, 2), (0x0A20_0123, 3), (0, 0), (0x0920_0003, 1), (0x0920_0001, 0), (0x0920_0021, 2), (4 << 18, 7)],
)
def test_the_last_level_that_holds_data(clidr, level):
    assert host().call("hv.arm64.caches.last_level", clidr) == level
