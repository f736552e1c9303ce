"""Packed data of any known format, told by its first bytes."""

from hv.common.lib.span import Bytes
from hv.lang import U8Enum, raises
from loader.unpack import gzip, lz4, xz, zstd
from loader.unpack.crc import CRC32_POLYNOMIAL, crc32
from loader.unpack.fault import expect
from loader.unpack.gzip import unpack_gzip
from loader.unpack.lz4 import unpack_lz4
from loader.unpack.source import Source
from loader.unpack.window import Window
from loader.unpack.xz import unpack_xz
from loader.unpack.zstd import unpack_zstd


class Packing(U8Enum):
    UNKNOWN = 0
    XZ = 1
    GZIP = 2
    ZSTD = 3
    LZ4 = 4


def packing_of(packed: Bytes) -> Packing:
    """By magic numbers alone."""
    if not packed.holds(0, 4):
        return Packing.UNKNOWN
    if packed.le16(0) == gzip.MAGIC:
        return Packing.GZIP
    match packed.le32(0):
        case xz.MAGIC:
            return Packing.XZ
        case zstd.MAGIC:
            return Packing.ZSTD
        case lz4.MAGIC:
            return Packing.LZ4
        case _:
            return Packing.UNKNOWN


@raises
def unpack(source: Source, window: Window) -> None:
    """Up to the end of the data, behind which the source may go on. EINVAL: it is of no known format, or damaged, and
    the fault tells what was expected. ENOSPC: the window is full, and holds the beginning.
    """
    crc32.init(CRC32_POLYNOMIAL)
    match packing_of(source.data):
        case Packing.XZ:
            unpack_xz(source, window)
        case Packing.GZIP:
            unpack_gzip(source, window)
        case Packing.ZSTD:
            unpack_zstd(source, window)
        case Packing.LZ4:
            unpack_lz4(source, window)
        case Packing.UNKNOWN:
            expect(False, "data packed by gzip, xz, zstd or lz4")
