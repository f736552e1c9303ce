"""LZ4 in its legacy frame, which kernels are packed in: blocks of up to 8 MiB, each by itself.

Source: LZ4 project, doc/lz4_Frame_format.md ("Legacy frame") and doc/lz4_Block_format.md.
"""

from hv.lang import Final, raises, u32, u64, unbounded
from loader.unpack.fault import expect
from loader.unpack.source import Source
from loader.unpack.window import Window

MAGIC: Final[u32] = 0x184C_2102
MOST_BLOCK: Final[u64] = 8 << 20  # bytes, unpacked
SHORTEST: Final[u64] = 4  # match
MORE: Final[u64] = 15  # in a token: the length goes on behind it


@raises
@unbounded("each block takes bytes of the source")
def unpack_lz4(source: Source, window: Window) -> None:
    """Nothing marks the end: it is that of the source. EINVAL: it is damaged. ENOSPC: the window is full."""
    expect(source.le32() == MAGIC, "a legacy frame of LZ4")
    while source.left != 0:
        packed = source.le32()
        if packed == MAGIC:  # frames may stand behind each other
            continue
        window.forget()
        block = Source()
        block.init(source.take(u64(packed)))
        _unpack_block(block, window)
        expect(window.length - window.first <= MOST_BLOCK, "a block of at most 8 MiB")


@raises
@unbounded("each round takes bytes of the source")
def _unpack_block(block: Source, window: Window) -> None:
    while True:
        token = u64(block.byte())
        window.append(block.take(_length(block, token >> 4)))
        if block.left == 0:
            return
        distance = u64(block.le16())
        window.repeat(distance, _length(block, token & 15) + SHORTEST)


@raises
@unbounded("each round takes a byte of the source")
def _length(block: Source, begun: u64) -> u64:
    length = begun
    if begun == MORE:
        while True:
            more = block.byte()
            length += u64(more)
            if more != 0xFF:
                break
    return length
