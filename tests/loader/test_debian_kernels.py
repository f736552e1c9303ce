"""Debian's own kernels, unpacked as Python's libraries unpack them."""

import lzma
import struct

import lz4.block
import pytest

from devtools import debian
from tests.loader.unpacking import Full, unpack

pytestmark = pytest.mark.x86


def payload(package: str) -> tuple[bytes, int]:
    """What is packed in a package's bzImage, and the size that stands behind it (Linux, arch/x86/boot.rst)."""
    folder = debian.unpacked(package, "amd64", behind="linux-image-") / "boot"
    (path,) = folder.glob("vmlinuz-*")
    image = path.read_bytes()
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1F1] + 1) * 512 + offset
    (size,) = struct.unpack_from("<I", image, start + length - 4)
    return image[start : start + length - 4], size


def unpacked_lz4(packed: bytes) -> bytes:
    made, at = [], 4
    while at < len(packed):
        (length,) = struct.unpack_from("<I", packed, at)
        made.append(lz4.block.decompress(packed[at + 4 : at + 4 + length], uncompressed_size=8 << 20))
        at += 4 + length
    return b"".join(made)


@pytest.mark.parametrize(
    ("package", "expected"),
    [("linux-image-amd64", lzma.decompress), ("linux-image-cloud-amd64", unpacked_lz4)],
)
def test_debians_kernel_comes_out(package: str, expected: object) -> None:
    """By xz with the filter for x86, and by LZ4."""
    packed, size = payload(package)
    assert callable(expected)
    vmlinux = expected(packed)
    assert len(vmlinux) == size
    written, used = unpack(packed, size)
    assert written == vmlinux and used == len(packed)
    with pytest.raises(Full) as full:
        unpack(packed, 8192)
    assert full.value.written == vmlinux[:8192]
