"""The ELF file that is packed in an x86 bzImage, as Linux's own build made it.

Source: Linux, Documentation/arch/x86/boot.rst (fields of the setup header from protocol 2.08 on).
"""

import hashlib
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.block
import zstandard

from devtools.paths import cache
from devtools.report import Problem, locked

SECTOR = 512
SETUP_SECTORS, SIGNATURE, VERSION = 0x1F1, 0x202, 0x206
PAYLOAD = struct.Struct("<II")  # offset behind the setup code, and length
PAYLOAD_AT = 0x248
FIRST_VERSION = 0x208
SIZE = struct.Struct("<I")  # the unpacked one, behind the packed data
LZ4_CHUNK = 8 << 20


def unpacked(kernel: Path) -> Path:
    """The ELF in the cache. Problem: the file is no bzImage, or packed in a way that is not known."""
    image = kernel.read_bytes()
    place = cache() / "vmlinux" / f"{kernel.name}-{hashlib.sha256(image).hexdigest()[:16]}"
    if not place.exists():
        try:
            elf = unpack(image)
        except ValueError as why:
            raise Problem(f"{kernel}: {why}") from None
        with locked(place.parent / ".lock"):
            partial = place.with_suffix(".partial")
            partial.write_bytes(elf)
            partial.rename(place)
    return place


def payload(image: bytes) -> bytes:
    """The packed kernel with its size behind it. ValueError: what is wrong with the bzImage."""
    if len(image) < PAYLOAD_AT + PAYLOAD.size or image[SIGNATURE : SIGNATURE + 4] != b"HdrS":
        raise ValueError("it is no bzImage: it has no setup header")
    if int.from_bytes(image[VERSION : VERSION + 2], "little") < FIRST_VERSION:
        raise ValueError("its setup header is older than protocol 2.08, which tells where the packed kernel is")
    offset, length = PAYLOAD.unpack_from(image, PAYLOAD_AT)
    start = (image[SETUP_SECTORS] + 1) * SECTOR + offset
    packed = image[start : start + length]
    if len(packed) != length or length < SIZE.size:
        raise ValueError("it ends within the packed kernel")
    return packed


def unpack(image: bytes) -> bytes:
    """The ELF in a bzImage. ValueError: what is wrong with it."""
    packed = payload(image)
    for magic, (name, unpacker) in FORMATS.items():
        if packed.startswith(magic):
            try:
                elf = unpacker(packed)
            except (lzma.LZMAError, zlib.error, zstandard.ZstdError, lz4.block.LZ4BlockError) as why:
                raise ValueError(f"its kernel, packed by {name}, cannot be unpacked: {why}") from None
            if not elf.startswith(b"\x7fELF"):
                raise ValueError(f"what is packed in it by {name} is no ELF file")
            return elf
    raise ValueError(f"its kernel is packed in a way that is not known, beginning with {packed[:4].hex()}")


def _xz(packed: bytes) -> bytes:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(packed)


def _gzip(packed: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(packed)


def _zstd(packed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed)


def _lz4(packed: bytes) -> bytes:
    """Its legacy form: chunks with their packed sizes before them, all but the last of 8 MiB."""
    (size,) = SIZE.unpack(packed[-SIZE.size :])
    out, at = b"", 4
    while len(out) < size:
        (length,) = SIZE.unpack_from(packed, at)
        at += SIZE.size
        out += lz4.block.decompress(packed[at : at + length], uncompressed_size=min(LZ4_CHUNK, size - len(out)))
        at += length
    return out


FORMATS: dict[bytes, tuple[str, Callable[[bytes], bytes]]] = {
    b"\xfd7zXZ\0": ("xz", _xz),
    b"\x1f\x8b": ("gzip", _gzip),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    b"\x02\x21\x4c\x18": ("lz4", _lz4),
}
