"""bzImages made of any ELF file, packed as Linux packs its own.

Source: Linux, Documentation/arch/x86/boot.rst and scripts/Makefile.lib.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Callable

import lz4.block
import zstandard

SECTOR = 512
SETUP_SECTORS = 3
BEFORE_PAYLOAD = 64  # where a kernel has its own code
SIZE = struct.Struct("<I")


def xz(data: bytes) -> bytes:
    """As xz_wrap.sh: the filter for x86, CRC-32."""
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
    return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters) + SIZE.pack(len(data))


def gzip(data: bytes) -> bytes:
    """Whose last four bytes are the size anyway."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=22, write_checksum=True).compress(data) + SIZE.pack(len(data))


def lz4_legacy(data: bytes) -> bytes:
    packed = lz4.block.compress(data, mode="high_compression", store_size=False)
    return b"\x02\x21\x4c\x18" + SIZE.pack(len(packed)) + packed + SIZE.pack(len(data))


PACKERS: dict[str, Callable[[bytes], bytes]] = {"xz": xz, "gzip": gzip, "zstd": zstd, "lz4": lz4_legacy}


def bzimage(payload: bytes) -> bytes:
    """With the header's fields that tell of the payload, of protocol 2.15."""
    setup = bytearray((SETUP_SECTORS + 1) * SECTOR)
    setup[0x1F1] = SETUP_SECTORS
    setup[0x1FE:0x200] = b"\x55\xaa"
    setup[0x202:0x208] = b"HdrS" + struct.pack("<H", 0x20F)
    setup[0x211] = 1  # loaded high
    struct.pack_into("<II", setup, 0x248, BEFORE_PAYLOAD, len(payload))
    struct.pack_into("<QI", setup, 0x258, 0x10_0000, 0x10_0000)
    return bytes(setup) + bytes(BEFORE_PAYLOAD) + payload + bytes(16)
