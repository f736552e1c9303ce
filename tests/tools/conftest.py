"""Machines and files for the tests of host tools."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import libfdt
import pytest

MIB = 1 << 20
GIB = 1 << 30

VIRT_MEMORY = ((0x4000_0000, 2 * GIB),)

MakeTree = Callable[..., bytes]


def make_tree(
    cpus: int = 4,
    memory: Sequence[tuple[int, int]] = VIRT_MEMORY,
    reserved: Sequence[tuple[int, int]] = (),
    memreserve: Sequence[tuple[int, int]] = (),
    chosen: Sequence[str] | None = (),
    broken_cpus: int = 0,
) -> bytes:
    """A tree with the nodes that a partition compiler looks at, shaped as QEMU's virt has them.

    `chosen` names nodes that /chosen already has; None: no such node. `broken_cpus` follow the others, marked "fail".
    """
    sw = libfdt.FdtSw()
    for start, size in memreserve:
        sw.add_reservemap_entry(start, size)
    sw.finish_reservemap()

    def cells(address: int, size: int) -> None:
        sw.property_u32("#address-cells", address)
        sw.property_u32("#size-cells", size)

    with sw.add_node(""):
        cells(2, 2)
        for start, size in memory:
            with sw.add_node(f"memory@{start:x}"):
                sw.property_string("device_type", "memory")
                sw.property("reg", struct.pack(">QQ", start, size))
        with sw.add_node("cpus"):
            cells(1, 0)
            with sw.add_node("cpu-map"):
                pass
            for number in range(cpus + broken_cpus):
                with sw.add_node(f"cpu@{number:x}"):
                    sw.property_string("device_type", "cpu")
                    sw.property_u32("reg", number)
                    if number >= cpus:
                        sw.property_string("status", "fail")
        with sw.add_node("reserved-memory") if reserved else nullcontext():
            if reserved:
                cells(2, 2)
            for start, size in reserved:
                with sw.add_node(f"firmware@{start:x}"):
                    sw.property("reg", struct.pack(">QQ", start, size))
        if chosen is not None:
            with sw.add_node("chosen"):
                sw.property_string("stdout-path", "/pl011@9000000")
                for name in chosen:
                    with sw.add_node(name):
                        pass
    fdt = sw.as_fdt()
    fdt.pack()
    return bytes(fdt.as_bytearray())


def image(size: int = 4096, text_offset: int = 0, image_size: int | None = None) -> bytes:
    """An arm64 Image of zeros behind a right header."""
    raw = bytearray(size)
    struct.pack_into("<QQ", raw, 8, text_offset, size if image_size is None else image_size)
    raw[0x38:0x3C] = b"ARM\x64"
    return bytes(raw)


@pytest.fixture(scope="session")
def tree() -> MakeTree:
    return make_tree


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two kernels and two ramdisks."""
    directory = tmp_path_factory.mktemp("files")
    (directory / "Image").write_bytes(image())
    (directory / "unikernel").write_bytes(image(3 * MIB))
    (directory / "initrd").write_bytes(b"070701")
    (directory / "initrd2").write_bytes(bytes(2 * MIB))
    return directory


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a partition file and returns its path."""

    def write_file(text: str) -> Path:
        path = tmp_path / "machine.toml"
        path.write_text(text, newline="")
        return path

    return write_file
