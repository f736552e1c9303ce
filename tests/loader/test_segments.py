"""Segments moved from an unpacked file to their places, in memory where the places are."""

from __future__ import annotations

import ctypes
import random
import struct
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import Raised, host

ARENA, ARENA_BYTES = 0x5000_0000, 1 << 20
LOAD, NOTE = 1, 4
MAP_PRIVATE, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE = 2, 0x20, 0x10_0000
SEGMENTS = "loader.x86.segments."
Segment = tuple[int, int, int, int, int]  # kind, offset, address, bytes in the file, bytes in memory


@cache
def arena() -> Any:
    """Memory below 4 GiB, where the addresses of segments are."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
    assert libc.mmap(ARENA, ARENA_BYTES, 3, flags, -1, 0) == ARENA
    return (ctypes.c_ubyte * ARENA_BYTES).from_address(ARENA)


def headers(segments: list[Segment]) -> bytes:
    """An ELF file's beginning, without what its segments have of it."""
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return head + b"".join(
        struct.pack("<IIQQQQQQ", kind, 7, offset, 0, at, file, memory, 1) for kind, offset, at, file, memory in segments
    )


def elf_of(data: bytes) -> Any:
    return host().call("hv.common.lib.elf.read_elf", host().bytes(data)[0])


@st.composite
def layouts(draw: st.DrawFn) -> list[Segment]:
    """Segments that share nothing, in any order in the file and in memory."""
    count = draw(st.integers(1, 5))
    at, offset = ARENA + 0x20000, 64 + 56 * count
    sizes = []
    for _ in range(count):
        file = draw(st.integers(0, 5000))
        sizes.append((file, file + draw(st.integers(0 if file else 1, 3000))))
    addresses, offsets = {}, {}
    for i in draw(st.permutations(range(count))):
        at += draw(st.integers(0, 6000))
        addresses[i] = at
        at += sizes[i][1]
    for i in draw(st.permutations(range(count))):
        offset += draw(st.integers(0, 9000))
        offsets[i] = offset
        offset += sizes[i][0]
    made = [(LOAD, offsets[i], addresses[i], *sizes[i]) for i in range(count)]
    return draw(st.permutations(made))


@given(layouts(), st.integers(0, 2**32), st.integers(0, 3000))
def test_segments_come_to_their_places(segments: list[Segment], seed: int, higher: int) -> None:
    """From the lowest place for the file, or one above: each has its bytes, and zeros behind."""
    memory = arena()
    head = headers(segments)
    file = bytearray(random.Random(seed).randbytes(max(s[1] + s[3] for s in segments)))
    file[: len(head)] = head
    elf = elf_of(head)
    base = host().library.call(f"{SEGMENTS}lowest_base", elf, len(file))
    base = max(base, ARENA) + higher
    ctypes.memset(ARENA, 0xA5, ARENA_BYTES)
    ctypes.memmove(base, bytes(file), len(file))
    host().library.call(f"{SEGMENTS}move_segments", elf, base)
    for _, offset, at, inside, bytes_ in segments:
        start = at - ARENA
        assert bytes(memory[start : start + inside]) == file[offset : offset + inside]
        assert bytes(memory[start + inside : start + bytes_]) == bytes(bytes_ - inside)


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        ([(NOTE, 200, 0, 4, 4)], "a segment to load"),
        ([(LOAD, 200, 0x1000, 5, 4)], "as much memory"),
        ([(LOAD, 200, 0x1000, 5000, 5000)], "lies in its file"),
        ([(LOAD, 2**64 - 1, 0x1000, 2, 2)], "lies in its file"),
        ([(LOAD, 200, 2**32, 4, 4)], "below 4 GiB"),
        ([(LOAD, 200, 2**32 - 4, 4, 5)], "below 4 GiB"),
        ([(LOAD, 200, 0x1000, 4, 2**64 - 1)], "below 4 GiB"),
        ([(LOAD, 200, 0x1000, 4, 8), (LOAD, 300, 0x1007, 4, 4)], "share nothing"),
        ([(LOAD, 200, 0x1000, 4, 4), (LOAD, 203, 0x2000, 4, 4)], "share nothing"),
    ],
)
def test_what_cannot_be_loaded_is_refused(segments: list[Segment], words: str) -> None:
    with pytest.raises(Raised):
        host().library.call(f"{SEGMENTS}lowest_base", elf_of(headers(segments)), 1000)
    fault = host().library.variable("loader.unpack.fault.fault")
    assert words in host().library.text(fault.expected)


NUMBERS = st.one_of(st.integers(0, 2000), st.sampled_from([2**32 - 1, 2**32, 2**63, 2**64 - 1]))


@given(st.lists(st.tuples(st.sampled_from([LOAD, NOTE]), NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=4))
def test_what_is_accepted_moves_down_and_overlaps_nothing(segments: list[Segment]) -> None:
    try:
        base = host().library.call(f"{SEGMENTS}lowest_base", elf_of(headers(segments)), 1000)
    except Raised:
        return
    loads = [(offset, at, file, memory) for kind, offset, at, file, memory in segments if kind == LOAD and memory]
    assert loads and base == max(0, *(at - offset for offset, at, _, _ in loads))
    for i, (offset, at, file, memory) in enumerate(loads):
        assert file <= memory and offset + file <= 1000 and at + memory <= 2**32
        for other_offset, other_at, other_file, other_memory in loads[:i]:
            assert at >= other_at + other_memory or other_at >= at + memory
            assert offset >= other_offset + other_file or other_offset >= offset + file
