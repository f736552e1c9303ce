"""The gzip format: one member, whose header may have all that it can have.

Source: RFC 1952.
"""

from hv.lang import Final, U8Flag, raises, truncate, u16, u32, u64, unbounded
from loader.unpack.crc import crc32
from loader.unpack.deflate import unpack_deflate
from loader.unpack.fault import expect
from loader.unpack.source import Source
from loader.unpack.window import Window

MAGIC: Final[u16] = 0x8B1F
DEFLATE: Final = 8
RESERVED: Final = 0xE0
TIME_AND_SYSTEM: Final = 6  # bytes of the header that do not matter


class Part(U8Flag):
    """What the header has."""

    TEXT = 0x01  # a hint
    CHECK = 0x02
    EXTRA = 0x04
    NAME = 0x08
    COMMENT = 0x10


@raises
def unpack_gzip(source: Source, window: Window) -> None:
    """EINVAL: it is damaged. ENOSPC: the window is full."""
    start = source.at
    expect(source.le16() == MAGIC and source.byte() == DEFLATE, "gzip by DEFLATE")
    flags = source.byte()
    expect(flags & RESERVED == 0, "a gzip header without reserved flags")
    parts = Part(flags)
    source.take(TIME_AND_SYSTEM)
    if Part.EXTRA in parts:
        source.take(u64(source.le16()))
    if Part.NAME in parts:
        _skip_text(source)
    if Part.COMMENT in parts:
        _skip_text(source)
    if Part.CHECK in parts:
        header = source.data.part(start, source.at - start)
        expect(source.le16() == truncate(u16, crc32.of(header)), "a gzip header with the right CRC-16")
    first = window.length
    unpack_deflate(source, window)
    data = window.written(first)
    expect(u64(source.le32()) == crc32.of(data), "data with the right CRC-32")
    expect(source.le32() == truncate(u32, data.length), "data of the length that gzip tells")


@raises
@unbounded("each round takes a byte of the source")
def _skip_text(source: Source) -> None:
    """Up to a zero."""
    while source.byte() != 0:
        pass
