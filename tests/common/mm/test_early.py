"""Memory before the heap: ranges against a set of pages, and what the heap is given."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.mm.simulated import BASE, ENOMEM, ENOSPC, RAM_BASE, Machine

PAGE = 4096
TOP = 200  # pages of the little world below
ADDRESSES = st.one_of(st.integers(0, TOP).map(lambda p: p * PAGE), st.integers(0, TOP * PAGE))
STEPS = st.sampled_from(["ram", "reserve", "reserve", "allocate"])


class Ranges:
    def __init__(self):
        self.machine = Machine()
        self.early = self.machine.library.variable("hv.common.mm.early.early")

    def call(self, name, *arguments):
        return self.machine.errno_or(self.machine.mm, f"early.EarlyMemory.{name}", self.early, *arguments)

    def pages(self, ranges):
        found = []
        for i in range(ranges.count):
            start, end = ranges.ranges[i].start, ranges.ranges[i].end
            assert start < end and start % PAGE == 0 and end % PAGE == 0
            assert i == 0 or ranges.ranges[i - 1].end < start, "ranges touch or are out of order"
            found += range(start // PAGE, end // PAGE)
        return found


def inner(start, end):
    return set(range(-(-start // PAGE), end // PAGE))


def outer(start, end):
    return set(range(start // PAGE, -(-end // PAGE))) if start < end else set()


@settings(deadline=None)
@given(st.lists(st.tuples(STEPS, ADDRESSES, ADDRESSES), max_size=30))
def test_ranges_against_a_set_of_pages(steps):
    ranges = Ranges()
    ram, free = set(), set()
    for what, a, b in steps:
        if what == "ram":
            assert ranges.call("add_ram", a, b)[0] == 0
            ram |= inner(a, b)
            free |= inner(a, b)
        elif what == "reserve":
            assert ranges.call("reserve", a, b)[0] == 0
            free -= outer(a, b)
        else:
            size, alignment = a // 8 + 1, PAGE << b % 4
            pages = -(-size // PAGE)
            error, start = ranges.call("allocate", size, alignment)
            aligned = range(0, TOP + 1, alignment // PAGE)
            fitting = [s for s in aligned if free.issuperset(range(s, s + pages))]
            if error:
                assert error == ENOMEM and not fitting
            else:
                assert start // PAGE == max(fitting) and start % PAGE == 0
                free -= set(range(start // PAGE, start // PAGE + pages))
        assert ranges.pages(ranges.early.ram) == sorted(ram)
        assert ranges.pages(ranges.early.free) == sorted(free)


def test_more_ranges_than_there_is_room_for():
    ranges = Ranges()
    for i in range(128):
        assert ranges.call("add_ram", i * 2 * PAGE, (i * 2 + 1) * PAGE)[0] == 0
    assert ranges.call("add_ram", 1000 * PAGE, 1001 * PAGE)[0] == ENOSPC
    assert ranges.call("add_ram", 0, 3 * PAGE)[0] == 0
    assert ranges.early.ram.count == 127


def test_a_reservation_that_has_no_room_to_split():
    ranges = Ranges()
    ranges.call("add_ram", 0, 1000 * PAGE)
    for i in range(127):
        assert ranges.call("reserve", (2 * i + 1) * PAGE, (2 * i + 2) * PAGE)[0] == 0
    assert ranges.call("reserve", 900 * PAGE, 901 * PAGE)[0] == ENOSPC


def test_ranges_overlap():
    ranges = Ranges()
    ranges.call("add_ram", 8 * PAGE, 16 * PAGE)
    ram = ranges.machine.ffi.addressof(ranges.early, "ram")
    overlaps = functools.partial(ranges.machine.mm, "early.Ranges.overlaps", ram)
    assert overlaps(0, 8 * PAGE + 1) and overlaps(16 * PAGE - 1, 20 * PAGE) and overlaps(9 * PAGE, 9 * PAGE + 1)
    assert not overlaps(0, 8 * PAGE) and not overlaps(16 * PAGE, 99 * PAGE) and not overlaps(9 * PAGE, 9 * PAGE)


@pytest.mark.parametrize("banks", [[(0, 4096)], [(0, 100), (128, 1000), (2048, 2049), (3000, 4096)]])
def test_the_heap_gets_what_is_free(banks):
    ranges = Ranges()
    for start, end in banks:
        ranges.call("add_ram", RAM_BASE + start * PAGE, RAM_BASE + end * PAGE)
    ranges.call("reserve", RAM_BASE + 5 * PAGE + 100, RAM_BASE + 9 * PAGE + 1)
    ranges.call("reserve", RAM_BASE + 500 * PAGE, RAM_BASE + 777 * PAGE)
    machine = ranges.machine
    machine.mm("early.start_heap")
    heap = {f - BASE for mfn, order in machine.free_blocks() for f in range(mfn, mfn + (1 << order))}
    ram = {p for start, end in banks for p in range(start, end)}
    records = -(-len(ram) * 16 // PAGE)
    assert heap < ram - set(range(5, 10)) - set(range(500, 777))
    assert len(ram) - 5 - len(ram & set(range(500, 777))) - len(heap) in range(records, records + len(banks))
    assert machine.frames.frames == len(ram)
    for page in range(4200):
        assert bool(machine.mm("frames.FrameTable.index_of", machine.frames, BASE + page)) == (page in ram)
