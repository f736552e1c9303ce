"""Zstandard: one frame, without a dictionary.

Source: RFC 8878, section 3.1.1.
"""

from hv.lang import Final, raises, truncate, u32, u64, unbounded
from loader.unpack.fault import expect
from loader.unpack.source import Source
from loader.unpack.window import Window
from loader.unpack.xxhash import xxh64
from loader.unpack.zstd_literals import Literals
from loader.unpack.zstd_sequences import Sequences

MAGIC: Final[u32] = 0xFD2F_B528
MOST_BLOCK: Final[u64] = 0x2_0000  # bytes, unpacked
RAW: Final[u32] = 0
RUN: Final[u32] = 1
PACKED: Final[u32] = 2

literals: Final = Literals()
sequences: Final = Sequences()


class FrameHeader:
    has_size: bool
    size: u64
    has_check: bool


@raises
@unbounded("each block takes bytes of the source, and says whether it is the last")
def unpack_zstd(source: Source, window: Window) -> None:
    """EINVAL: it is damaged, or made in a way that no kernel is. ENOSPC: the window is full."""
    expect(source.le32() == MAGIC, "a frame of Zstandard")
    header = FrameHeader()
    _read_header(source, header)
    literals.begin_frame()
    sequences.begin_frame()
    window.forget()
    first = window.length
    last = False
    while not last:
        low = u32(source.le16())
        head = low | u32(source.byte()) << 16
        last = head & 1 != 0
        _block(source, head >> 1 & 3, u64(head >> 3), window)
    data = window.written(first)
    expect(not header.has_size or header.size == data.length, "a frame that holds what its header tells")
    if header.has_check:
        expect(source.le32() == truncate(u32, xxh64(data)), "data with the right XXH64")


@raises
def _read_header(source: Source, header: FrameHeader) -> None:
    flags = source.byte()
    expect(flags & 8 == 0, "a frame without the reserved flag")
    expect(flags & 3 == 0, "a frame that needs no dictionary")
    single = flags & 0x20 != 0
    header.has_check = flags & 4 != 0
    if not single:
        source.byte()  # the window's size: the whole output is there
    header.has_size = single or flags >> 6 != 0
    match flags >> 6:
        case 0:
            header.size = u64(source.byte()) if single else 0
        case 1:
            header.size = u64(source.le16()) + 256
        case 2:
            header.size = u64(source.le32())
        case _:
            header.size = source.le64()


@raises
def _block(source: Source, kind: u32, size: u64, window: Window) -> None:
    expect(size <= MOST_BLOCK, "a block of at most 128 KiB")
    if kind == RAW:
        window.append(source.take(size))
    elif kind == RUN:
        window.fill(source.byte(), size)
    else:
        expect(kind == PACKED, "a block that is plain, a run or packed")
        first = window.length
        block = Source()
        block.init(source.take(size))
        literals.read(block)
        sequences.unpack(block, literals, window)
        expect(window.length - first <= MOST_BLOCK, "a block of at most 128 KiB")
