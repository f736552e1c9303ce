"""What the compiler of guest descriptions knows of a bzImage."""

import struct
from pathlib import Path

import pytest

from tools.partition.image import read_pvh
from tools.partition.mistakes import Wrong


def bzimage(path: Path, version: int = 0x20F) -> Path:
    head = bytearray(0x400)
    head[0x1FE:0x200] = b"\x55\xaa"
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, version)
    head[0x211] = 1
    struct.pack_into("<QI", head, 0x258, 0x100_0000, 0x20_0000)
    path.write_bytes(bytes(head) + bytes(3000))
    return path


def test_its_kernel_takes_what_the_header_tells_and_the_file_lies_beside_it(tmp_path: Path) -> None:
    assert read_pvh(bzimage(tmp_path / "vmlinuz"), "vmlinuz").footprint == 0x100_0000 + 0x20_0000 + 0x400 + 3000


def test_one_that_tells_nothing_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(Wrong, match=r"before Linux 2\.6\.31"):
        read_pvh(bzimage(tmp_path / "vmlinuz", 0x206), "vmlinuz")


def test_what_is_neither_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"MZ" + bytes(2000))
    with pytest.raises(Wrong, match="neither a bzImage nor an ELF file"):
        read_pvh(tmp_path / "file", "file")
