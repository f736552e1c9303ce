"""The memory map: what is RAM at the end, page by page, whatever order and overlaps the loader's entries have."""

from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import host

MAP = "hv.x86.memory_map."
LIMIT = 64 << 12
RAM = 1

entries = st.lists(st.tuples(st.integers(0, 66 << 12), st.integers(0, 20 << 12), st.integers(1, 5)), max_size=12)


@given(entries)
def test_only_what_every_entry_calls_ram_is_ram(given_entries):
    ffi = host().ffi
    map_ = ffi.new("x86_memory_map_MemoryMap *")
    early = ffi.new("common_mm_early_EarlyMemory *")
    host().call(f"{MAP}MemoryMap.init", map_, LIMIT)
    for start, size, kind in given_entries:
        host().call(f"{MAP}MemoryMap.add", map_, start, size, kind)
    host().call(f"{MAP}MemoryMap.tell", map_, early)
    pages = set()
    for start, size, kind in given_entries:
        if kind == RAM:
            end = min(start + size, LIMIT)
            pages |= set(range(-(-start // 4096), end // 4096))
    for start, size, kind in given_entries:
        if kind != RAM and size and start < LIMIT:
            pages -= set(range(start // 4096, -(-min(start + size, LIMIT) // 4096)))
    for ranges in (early.ram, early.free):
        found = [(r.start >> 12, r.end >> 12) for r in ranges.ranges[0 : ranges.count]]
        assert {page for start, end in found for page in range(start, end)} == pages
        assert found == sorted(found)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_any_numbers_are_taken(start, size):
    map_ = host().ffi.new("x86_memory_map_MemoryMap *")
    host().call(f"{MAP}MemoryMap.init", map_, LIMIT)
    host().call(f"{MAP}MemoryMap.add", map_, start, size, RAM)
    if start < LIMIT and size:
        assert (map_.entries[0].start, map_.entries[0].end) == (start, min(start + size, LIMIT))
    else:
        assert map_.count == 0


def test_a_full_map_says_what_it_left_out():
    map_ = host().ffi.new("x86_memory_map_MemoryMap *")
    host().call(f"{MAP}MemoryMap.init", map_, LIMIT)
    for i in range(515):
        host().call(f"{MAP}MemoryMap.add", map_, i, 1, RAM)
    assert (map_.count, map_.left_out) == (512, 3)
