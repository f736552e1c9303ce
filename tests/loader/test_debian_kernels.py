"""Debian's own kernels, unpacked as Python's libraries unpack them."""

import pytest

from devtools import debian, vmlinux
from tests.loader.unpacking import Full, unpack

pytestmark = pytest.mark.x86


@pytest.mark.parametrize("package", ["linux-image-amd64", "linux-image-cloud-amd64"])
def test_debians_kernel_comes_out(package: str) -> None:
    """By xz with the filter for x86, and by LZ4."""
    folder = debian.unpacked(package, "amd64", behind="linux-image-") / "boot"
    (path,) = folder.glob("vmlinuz-*")
    image = path.read_bytes()
    packed, expected = vmlinux.payload(image)[: -vmlinux.SIZE.size], vmlinux.unpack(image)
    written, used = unpack(packed, len(expected))
    assert written == expected and used == len(packed)
    with pytest.raises(Full) as full:
        unpack(packed, 8192)
    assert full.value.written == expected[:8192]
