"""Where memory is free, against a model that looks at each page."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import Raised, host
from tests.loader.unpacking import address

PAGES = 64
PAGE = 4096
RAM, RESERVED = 1, 2
ENTRIES = st.lists(
    st.tuples(st.integers(0, PAGES), st.integers(0, 20), st.sampled_from([RAM, RAM, RESERVED, 3])),
    min_size=1,
    max_size=6,
)
TAKEN = st.lists(st.tuples(st.integers(0, PAGES * PAGE), st.integers(0, 3 * PAGE)), max_size=4)


def memory(entries: list[tuple[int, int, int]], taken: list[tuple[int, int]]) -> Any:
    """With a map that lies outside of what it describes, as `taken` must not hold it."""
    library = host().library
    made = library.new("loader.x86.memory.Memory")
    data = b"".join(struct.pack("<QQII", start * PAGE, pages * PAGE, kind, 0) for start, pages, kind in entries)
    table = library.ffi.new("unsigned char[]", data)
    host().kept.append(table)
    made.map = library.ffi.new("common_lib_span_Bytes *", {"address": address(table), "length": len(data)})[0]
    made.entries = len(entries)
    for start, length in taken:
        library.call("loader.x86.memory.Memory.take", made, start, length)
    return made


def is_free(entries: list[tuple[int, int, int]], taken: list[tuple[int, int]], start: int, length: int) -> bool:
    inside = any(
        kind == RAM and first * PAGE <= start and start + length <= (first + pages) * PAGE
        for first, pages, kind in entries
    )
    return inside and not any(at < start + length and start < at + size for at, size in taken if size)


@given(ENTRIES, TAKEN, st.integers(0, PAGES * PAGE), st.integers(1, 4 * PAGE))
def test_what_is_free_is_memory_with_nothing_in_it(
    entries: list[tuple[int, int, int]], taken: list[tuple[int, int]], start: int, length: int
) -> None:
    made = memory(entries, taken)
    found = bool(host().library.call("loader.x86.memory.Memory.is_free", made, start, length))
    assert found == is_free(entries, taken, start, length)


@given(ENTRIES, TAKEN, st.integers(0, PAGES), st.integers(1, 4 * PAGE))
def test_the_lowest_free_place_is_found(
    entries: list[tuple[int, int, int]], taken: list[tuple[int, int]], least: int, length: int
) -> None:
    places = [p * PAGE for p in range(least, PAGES + 20) if is_free(entries, taken, p * PAGE, length)]
    made = memory(entries, taken)
    try:
        found = host().library.call("loader.x86.memory.Memory.find", made, least * PAGE, length)
    except Raised:
        assert not places
        return
    assert found == places[0]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_any_numbers_may_be_asked_for(start: int, length: int) -> None:
    made = memory([(0, 2**52 - 1, RAM)], [(PAGE, PAGE)])
    found = bool(host().library.call("loader.x86.memory.Memory.is_free", made, start, length))
    assert found == (start + length <= 1 << 32 and start < 1 << 32 and not (start < 2 * PAGE and PAGE < start + length))
