"""Decompressors against Python's and the formats' own libraries: what those pack comes out again, and packed data that
are cut off or changed give the right output or a refusal, and nothing else.
"""

from __future__ import annotations

import functools
import gzip
import lzma
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import lz4.block
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loader.unpacking import Full, Refused, unpack

X86 = {"id": lzma.FILTER_X86}
MIB = 1 << 20
ZSTD_FLAGS, ZSTD_CHECK = 4, 4  # the byte of a frame, and the bit that says that it ends in a check


def xz(data: bytes, check: int = lzma.CHECK_CRC32, filters: list[dict[str, int]] | None = None, **lzma2: int) -> bytes:
    chain = [*(filters or []), {"id": lzma.FILTER_LZMA2, **lzma2}]
    return lzma.compress(data, lzma.FORMAT_XZ, check, filters=chain)


def deflate(data: bytes, level: int, strategy: int, memory: int = 8) -> bytes:
    """A gzip member."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31, memory, strategy)
    return packer.compress(data) + packer.flush()


def zstd(data: bytes, level: int = 19, check: bool = True, size: bool = True) -> bytes:
    packer = zstandard.ZstdCompressor(level=level, write_checksum=check, write_content_size=size)
    return packer.compress(data)


def lz4_legacy(data: bytes, block: int = 8 * MIB) -> bytes:
    """As `lz4 -l -9` makes it."""
    packed = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), block):
        part = lz4.block.compress(data[start : start + block], mode="high_compression", store_size=False)
        packed += struct.pack("<I", len(part)) + part
    return packed


@dataclass(frozen=True)
class Way:
    """A way to pack, and whether a change of any bit in what it makes must be noticed."""

    pack: Callable[[bytes], bytes]
    checked: bool


WAYS = {
    "xz as kernels": Way(lambda d: xz(d, filters=[X86], preset=6), True),
    "xz crc64": Way(lambda d: xz(d, lzma.CHECK_CRC64, preset=1), True),
    "xz no check": Way(lambda d: xz(d, lzma.CHECK_NONE, preset=0), False),
    "xz lc0 lp4 pb0": Way(lambda d: xz(d, lc=0, lp=4, pb=0, mf=lzma.MF_BT4, mode=lzma.MODE_NORMAL), True),
    "xz lc4 lp0 pb4": Way(lambda d: xz(d, lc=4, lp=0, pb=4, mode=lzma.MODE_FAST, mf=lzma.MF_HC3), True),
    "gzip": Way(lambda d: deflate(d, 9, zlib.Z_DEFAULT_STRATEGY), True),
    "gzip stored": Way(lambda d: deflate(d, 0, zlib.Z_DEFAULT_STRATEGY), True),
    "gzip fixed": Way(lambda d: deflate(d, 6, zlib.Z_FIXED), True),
    "gzip huffman": Way(lambda d: deflate(d, 6, zlib.Z_HUFFMAN_ONLY, 1), True),
    "gzip runs": Way(lambda d: deflate(d, 6, zlib.Z_RLE), True),
    "zstd": Way(lambda d: zstd(d), True),
    "zstd fast": Way(lambda d: zstd(d, level=1, size=False), True),
    "zstd ultra": Way(lambda d: zstd(d, level=22, check=False), False),
    "zstd no size": Way(lambda d: zstd(d, level=-5, check=False, size=False), False),
    "lz4": Way(lz4_legacy, False),
    "lz4 small blocks": Way(lambda d: lz4_legacy(d, 50), False),
}


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Bytes with what packers look for: runs, repetitions near and far, skewed and even letters, machine code."""
    numbers = random.Random(draw(st.integers(0, 1 << 32)))
    made = bytearray(draw(st.binary(max_size=40)))
    for _ in range(draw(st.integers(0, 12))):
        match draw(st.integers(0, 5)):
            case 0:
                made += bytes([numbers.randrange(256)]) * numbers.choice([1, 3, 300, 70000])
            case 1:
                made += numbers.randbytes(numbers.choice([1, 7, 300, 5000]))
            case 2:
                made += bytes(
                    numbers.choices(b"etaoin shr", [30, 20, 10, 8, 6, 4, 2, 1, 1, 1], k=numbers.choice([9, 4000]))
                )
            case 3 if made:
                start = numbers.randrange(len(made))
                made += made[start : start + numbers.choice([3, 20, 800])]
            case 4 if made:
                start, count = numbers.randrange(len(made)), numbers.choice([4, 300])
                made += (made[start : start + 5] * count)[:count]
            case _:
                for _ in range(numbers.choice([2, 200])):
                    high = numbers.choice([0, 0, 255, 255, 1, 0xE8])
                    made += bytes([numbers.choice([0xE8, 0xE9, 0x90]), *numbers.randbytes(numbers.randrange(4)), high])
    return bytes(made)


@functools.cache
def sample() -> bytes:
    """A quarter of a MiB of everything."""
    numbers = random.Random(1)
    words = [numbers.randbytes(numbers.randrange(1, 20)) for _ in range(300)]
    return b"".join(numbers.choices(words, k=30000))[: MIB // 4]


@pytest.mark.parametrize("name", WAYS)
@given(data=texts())
@settings(max_examples=30)
def test_what_others_pack_comes_out(name: str, data: bytes) -> None:
    packed = WAYS[name].pack(data)
    assert unpack(packed, len(data)) == (data, len(packed))


@pytest.mark.parametrize("name", WAYS)
def test_what_is_large_comes_out(name: str) -> None:
    packed = WAYS[name].pack(sample())
    assert unpack(packed, len(sample()) + 100) == (sample(), len(packed))


@pytest.mark.parametrize("name", [name for name in WAYS if not name.startswith("lz4")])
@given(data=texts(), behind=st.binary(min_size=1, max_size=20))
@settings(max_examples=5)
def test_what_stands_behind_the_end_is_left(name: str, data: bytes, behind: bytes) -> None:
    packed = WAYS[name].pack(data)
    assert unpack(packed + behind, len(data)) == (data, len(packed))


@pytest.mark.parametrize("name", WAYS)
@given(data=texts(), part=st.floats(0, 1, exclude_max=True))
@settings(max_examples=20)
def test_a_small_window_holds_the_beginning(name: str, data: bytes, part: float) -> None:
    """Filtered operands at its end may be missing."""
    room = int(len(data) * part)
    if room == len(data):
        return
    with pytest.raises(Full) as full:
        unpack(WAYS[name].pack(data), room)
    sure = max(room - 4, 0) if name == "xz as kernels" else room
    assert full.value.written[:sure] == data[:sure]


@pytest.mark.parametrize("name", WAYS)
@given(data=texts(), part=st.floats(0, 1, exclude_max=True))
@settings(max_examples=20)
def test_what_is_cut_off_is_refused(name: str, data: bytes, part: float) -> None:
    """A legacy frame of LZ4 has no end that it could lack, when it is cut between blocks."""
    packed = WAYS[name].pack(data)
    try:
        written, _ = unpack(packed[: int(len(packed) * part)], len(data))
    except Refused as refused:
        assert str(refused)
        return
    assert name.startswith("lz4") and data.startswith(written) and len(written) % 50 == 0


CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4)
ROOMS = st.sampled_from([0, 1000])


@pytest.mark.parametrize("name", WAYS)
@given(texts(), CHANGES, ROOMS)
@settings(max_examples=100)
def test_what_is_changed_is_refused_or_the_same(
    name: str, data: bytes, changes: list[tuple[float, int]], room: int
) -> None:
    """Where there is a check. Where there is none, something comes out, and no byte lies where it must not."""
    unpack_changed(name, data, changes, room)


@pytest.mark.long
@pytest.mark.parametrize("name", WAYS)
@given(texts(), CHANGES, ROOMS)
@settings(max_examples=2000)
def test_what_is_changed_in_many_ways(name: str, data: bytes, changes: list[tuple[float, int]], room: int) -> None:
    """The same, for longer."""
    unpack_changed(name, data, changes, room)


def unpack_changed(name: str, data: bytes, changes: list[tuple[float, int]], room: int) -> None:
    packed = bytearray(WAYS[name].pack(data))
    for place, change in changes:
        packed[int(place * len(packed))] ^= change
    try:
        written, _ = unpack(bytes(packed), len(data) + room)
    except (Refused, Full):
        return
    if name.startswith("zstd") and not packed[ZSTD_FLAGS] & ZSTD_CHECK:
        others = others_zstd(bytes(packed), len(data) + room)
        assert others is None or written == others
    else:
        assert written == data or not WAYS[name].checked


def others_zstd(packed: bytes, room: int) -> bytes | None:
    """What the format's own library makes of a frame that has no check, or whose flag for it was changed. None: it
    refuses it, as it also does for the size of a window, which is nothing to us."""
    try:
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=room, allow_extra_data=True)
    except zstandard.ZstdError:
        return None


@given(
    st.binary(max_size=300),
    st.sampled_from([b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18", b""]),
)
def test_any_bytes_at_all_are_harmless(data: bytes, magic: bytes) -> None:
    try:
        unpack(magic + data, 500)
    except (Refused, Full):
        return


def test_a_gzip_header_may_have_all_parts() -> None:
    data = b"a kernel" * 10
    body = zlib.compress(data, wbits=-15)
    head = b"\x1f\x8b\x08\x1e" + bytes(6) + struct.pack("<H", 5) + b"extra" + b"vmlinux\0" + b"a comment\0"
    head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    packed = head + body + struct.pack("<II", zlib.crc32(data), len(data))
    assert gzip.decompress(packed) == data
    assert unpack(packed, 100) == (data, len(packed))


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (b"", "gzip, xz, zstd or lz4"),
        (b"\x7fELF" + bytes(60), "gzip, xz, zstd or lz4"),
        (xz(b"data", lzma.CHECK_SHA256, preset=0), "CRC-32 or CRC-64"),
        (lzma.compress(b"d" * 99, filters=[{"id": lzma.FILTER_DELTA}, {"id": lzma.FILTER_LZMA2}]), "filter for x86"),
        (xz(b"data", preset=0)[:-1] + b"?", "the end of an .xz stream"),
        (deflate(b"data", 6, 0)[:-1] + b"?", "the length that gzip tells"),
        (deflate(b"data", 6, 0)[:-5] + b"?" * 5, "the right CRC-32"),
        (zstd(b"data")[:-1] + b"?", "the right XXH64"),
        (lz4_legacy(b"data") + b"\0", "more bytes behind the end"),
    ],
)
def test_a_refusal_says_what_was_expected(packed: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words):
        unpack(packed, 1000)


def test_several_blocks_of_xz_come_out() -> None:
    """Python's module makes one block in a stream, so these are put together by hand, with an index of all."""
    parts = [b"one " * 100, b"another " * 300]
    streams = [xz(part, filters=[X86], preset=0) for part in parts]
    blocks, index = [], b"\0" + number(len(parts))
    for stream in streams:
        start = len(stream) - 12 - (struct.unpack("<I", stream[-8:-4])[0] + 1) * 4
        blocks.append(stream[12:start])
        index += records(stream[start + 2 :])
    index += b"\0" * (-len(index) % 4)
    index += struct.pack("<I", zlib.crc32(index))
    footer = struct.pack("<I", len(index) // 4 - 1) + streams[0][6:8]
    packed = streams[0][:12] + b"".join(blocks) + index + struct.pack("<I", zlib.crc32(footer)) + footer + b"YZ"
    assert lzma.decompress(packed) == b"".join(parts)
    assert unpack(packed, 10000) == (b"".join(parts), len(packed))
    with pytest.raises(Refused, match="sizes of the blocks"):
        unpack(packed.replace(index, index[:2] + index[3:4] + index[2:3] + index[4:]), 10000)


def records(index: bytes) -> bytes:
    """The two numbers of an index's only block."""
    end = 0
    for _ in range(2):
        while index[end] & 0x80:
            end += 1
        end += 1
    return index[:end]


def number(value: int) -> bytes:
    made = b""
    while value >= 0x80:
        made += bytes([value & 0x7F | 0x80])
        value >>= 7
    return made + bytes([value])
