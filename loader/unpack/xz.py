"""The .xz format: one stream of blocks, each filtered by LZMA2 and perhaps by the filter for x86.

Source: The .xz File Format 1.1.0.
"""

from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, bounded, raises, u8, u32, u64, unbounded
from loader.unpack.crc import CRC64_POLYNOMIAL, crc32, crc64
from loader.unpack.fault import expect
from loader.unpack.lzma2 import unpack_lzma2
from loader.unpack.source import Source
from loader.unpack.window import Window
from loader.unpack.x86_filter import undo_x86_filter

MAGIC: Final[u32] = 0x587A_37FD  # and two bytes
MAGIC_REST: Final = 0x005A
FOOTER_MAGIC: Final = 0x5A59
CHECK_NONE: Final[u8] = 0
CHECK_CRC32: Final[u8] = 1
CHECK_CRC64: Final[u8] = 4
LZMA2: Final[u64] = 0x21
X86: Final[u64] = 4
MOST_DICTIONARY: Final = 40  # of the property's values
MOST_NUMBER_BYTES: Final = 9
FNV_PRIME: Final[u64] = 0x0000_0100_0000_01B3


class Tally:
    """What an index has to list of the blocks before it."""

    blocks: u64
    hash: u64  # of all their sizes

    def add(self, unpadded: u64, unpacked: u64) -> None:
        self.blocks += 1
        self.hash = ((self.hash ^ unpadded) * FNV_PRIME ^ unpacked) * FNV_PRIME


class BlockHeader:
    has_packed: bool
    packed: u64
    has_unpacked: bool
    unpacked: u64
    filtered: bool  # by the filter for x86


@raises
@unbounded("each block takes bytes of the source")
def unpack_xz(source: Source, window: Window) -> None:
    """EINVAL: it is damaged, or made in a way that no kernel is. ENOSPC: the window is full."""
    start = source.at
    expect(source.le32() == MAGIC and source.le16() == MAGIC_REST, "an .xz stream")
    check = _stream_flags(source.take(2), source.le32())
    if check == CHECK_CRC64:
        crc64.init(CRC64_POLYNOMIAL)
    tally = Tally()
    while True:
        size = source.byte()
        if size == 0:
            break
        _block(source, size, check, window, tally)
    index = source.at - 1
    _index(source, index, tally)
    stored = source.le32()
    rest = source.take(6)
    expect(u64(stored) == crc32.of(rest), "an .xz footer with the right CRC-32")
    expect((u64(rest.le32(0)) + 1) * 4 == source.at - 10 - index, "an .xz footer that tells the size of the index")
    expect(rest.byte(4) == 0 and rest.byte(5) == check, "an .xz footer with the flags of the header")
    expect(source.le16() == FOOTER_MAGIC and (source.at - start) % 4 == 0, "the end of an .xz stream")


@raises
def _stream_flags(flags: Bytes, stored: u32) -> u8:
    """The kind of check."""
    expect(u64(stored) == crc32.of(flags), "an .xz header with the right CRC-32")
    check = flags.byte(1)
    expect(flags.byte(0) == 0, "an .xz header without reserved flags")
    expect(check in (CHECK_NONE, CHECK_CRC32, CHECK_CRC64), "an .xz check by CRC-32 or CRC-64, or none")
    return check


@raises
def _block(source: Source, size: u8, check: u8, window: Window, tally: Tally) -> None:
    start = source.at - 1
    header = BlockHeader()
    length = (u64(size) + 1) * 4
    rest = source.take(length - 1 - 4)
    stored = source.le32()
    whole = Bytes(rest.address - 1, length - 4)
    expect(u64(stored) == crc32.of(whole), "a header of a block with the right CRC-32")
    _block_header(rest, header)
    first = window.length
    behind = source.at
    _block_data(source, header, window)
    expect(not header.has_packed or header.packed == source.at - behind, "a block as long as its header tells")
    data = window.written(first)
    expect(not header.has_unpacked or header.unpacked == data.length, "a block that holds what its header tells")
    unpadded = source.at - start
    _padding(source, start)
    padded = source.at
    if check == CHECK_CRC32:
        expect(u64(source.le32()) == crc32.of(data), "data with the right CRC-32")
    elif check == CHECK_CRC64:
        expect(source.le64() == crc64.of(data), "data with the right CRC-64")
    tally.add(unpadded + source.at - padded, data.length)


@raises
def _block_data(source: Source, header: BlockHeader, window: Window) -> None:
    """The filter is undone when all is there that the window takes."""
    first = window.length
    try:
        unpack_lzma2(source, window)
    except Errno:
        if header.filtered:
            undo_x86_filter(window.written(first))
        raise
    if header.filtered:
        undo_x86_filter(window.written(first))


@raises
def _block_header(bytes: Bytes, header: BlockHeader) -> None:
    source = Source()
    source.init(bytes)
    flags = source.byte()
    expect(flags & 0x3C == 0, "a header of a block without reserved flags")
    header.has_packed = flags & 0x40 != 0
    if header.has_packed:
        header.packed = _number(source)
    header.has_unpacked = flags & 0x80 != 0
    if header.has_unpacked:
        header.unpacked = _number(source)
    filters = u32(flags & 3) + 1
    expect(filters <= 2, "LZMA2, alone or behind the filter for x86")
    if filters == 2:
        expect(_number(source) == X86 and _number(source) == 0, "LZMA2, alone or behind the filter for x86")
        header.filtered = True
    expect(_number(source) == LZMA2 and _number(source) == 1, "LZMA2, alone or behind the filter for x86")
    expect(source.byte() <= MOST_DICTIONARY, "a dictionary of 4 GiB at most")
    for _ in bounded(source.left, 1024):
        expect(source.byte() == 0, "a header of a block that ends in zeros")


@raises
@unbounded("each record takes bytes of the source")
def _index(source: Source, start: u64, tally: Tally) -> None:
    """Behind its first byte, which stands at `start`."""
    listed = Tally()
    left = _number(source)
    expect(left == tally.blocks, "an index of all blocks")
    while left != 0:
        unpadded = _number(source)
        listed.add(unpadded, _number(source))
        left -= 1
    expect(listed.hash == tally.hash, "an index with the sizes of the blocks")
    _padding(source, start)
    index = source.data.part(start, source.at - start)
    expect(u64(source.le32()) == crc32.of(index), "an index with the right CRC-32")


@raises
def _padding(source: Source, start: u64) -> None:
    """Zeros, until what began at `start` takes a multiple of 4 bytes."""
    for _ in bounded((start - source.at) % 4, 3):
        expect(source.byte() == 0, "padding of zeros")


@raises
def _number(source: Source) -> u64:
    """Seven bits in a byte, the lowest first, and no byte more than it needs."""
    value: u64 = 0
    for i in range(MOST_NUMBER_BYTES):
        byte = source.byte()
        value |= u64(byte & 0x7F) << 7 * i
        if byte & 0x80 == 0:
            expect(byte != 0 or i == 0, "a number without bytes that it does not need")
            return value
    expect(False, "a number of at most 9 bytes")
    return 0
