"""Where the parts of a guest with a packed kernel go, and what its start information says of them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import EINVAL, ENOSPC, Raised, host
from tests.common.mm.simulated import RAM_BASE

LOADER = "hv.x86.pvh_loader.PvhLoader."
PAGE, MIB = 4096, 1 << 20
TABLES = 2 * PAGE  # of ACPI
EARLY_END = 0x3800_0000
UNPACKER, UNPACKER_END, ENTRY = 0x10000, 0x60000, 0x10010


def unpacker() -> bytes:
    """An ELF file with a segment and a PVH note."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", ENTRY)
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, 0, UNPACKER, 0x1000, UNPACKER_END - UNPACKER, 1)
    head += struct.pack("<IIQQQQQQ", 4, 4, 200, 0, 0, len(note), len(note), 1)
    return (head.ljust(200, b"\0") + note).ljust(0x1000, b"\0")


def bzimage() -> bytes:
    head = bytearray(0x250)
    head[0x1FE:0x200] = b"\x55\xaa"
    head[0x202:0x208] = b"HdrS\x0f\x02"
    head[0x211] = 1
    return bytes(head)


class Guest:
    def __init__(self, frames: int, kernel: int, ramdisk: int, bootargs: str, file: bytes | None = None) -> None:
        self.program = host().bytes(unpacker())
        host().variable("hv.x86.packed_kernel.unpacker").program = self.program[0]
        self.loader = host().variable("hv.x86.pvh_loader.pvh_loader")
        self.description = host().library.new("hv.common.builder.description.Description")
        file = bzimage() if file is None else file
        memory = host().ffi.cast("char *", host().library.call("hv.sim.memory.address_at", RAM_BASE))
        host().ffi.memmove(memory, file.ljust(0x1000, b"\0"), max(len(file), 0x1000))
        self.description.frames = frames
        self.description.vcpus = 2
        self.description.kernel.start = RAM_BASE
        self.description.kernel.bytes = kernel
        self.description.ramdisk.start = RAM_BASE + PAGE
        self.description.ramdisk.bytes = ramdisk
        self.line = host().ffi.new("char[]", bootargs.encode())
        self.description.bootargs.data = self.line
        self.description.bootargs.length = len(bootargs)

    def call(self, name: str, *arguments: object) -> object:
        return host().library.call(f"{LOADER}{name}", self.loader, *arguments)

    def information(self, placement: object) -> bytes:
        room = host().bytes(b"", 4 * PAGE)
        length = self.call("write", room[0], self.description, placement)
        return host().contents(room[0])[:length]


@given(
    frames=st.one_of(st.integers(1, 1 << 12), st.integers(1, 1 << 20)),
    kernel=st.integers(0x250, 12 * MIB),
    ramdisk=st.one_of(st.just(0), st.integers(1, 64 * MIB)),
    bootargs=st.text("abc=, ", max_size=2047),
)
def test_a_packed_kernel_lies_out_of_the_way(frames: int, kernel: int, ramdisk: int, bootargs: str) -> None:
    guest = Guest(frames, kernel, ramdisk, bootargs)
    end = min(frames * PAGE, EARLY_END)
    guest.call("read", guest.description)
    try:
        placement = guest.call("place", guest.description)
    except Raised as raised:
        assert raised.code == ENOSPC
        assert kernel + ramdisk + len(bootargs) + 7 * PAGE > end - UNPACKER_END
        return
    data = guest.information(placement)
    magic, version, _, modules, modlist, line, rsdp, table, entries = struct.unpack_from("<IIIIQQQQI", data)
    at = placement.tree  # type: ignore[attr-defined]
    assert (magic, version, modules) == (0x336EC578, 1, 2 if ramdisk else 1)
    assert data[line - at : line - at + len(bootargs) + 1] == bootargs.encode() + b"\0"
    regions = [struct.unpack_from("<QQII", data, table - at + 24 * i) for i in range(entries)]
    assert regions[:2] == [(0, end - TABLES, 1, 0), (end - TABLES, TABLES, 3, 0)] and rsdp == end - TABLES
    assert data[rsdp - at :].startswith(b"RSD PTR ") and at + len(data) == end
    listed = [struct.unpack_from("<QQQQ", data, modlist - at + 32 * i) for i in range(modules)]
    (file, size, *_), *rest = listed
    assert size == kernel and file % PAGE == 0 and file + size <= at
    segments = guest.description.segments[0 : guest.description.segment_count]
    assert [(s.to, s.contents.length) for s in segments] == [(UNPACKER, 0x1000), (file, kernel)]
    lowest = file
    for start, length, *_ in rest:
        assert (start, length) == (placement.ramdisk, ramdisk) and start % PAGE == 0  # type: ignore[attr-defined]
        assert start + length <= lowest
        lowest = start
    assert UNPACKER_END <= lowest
    assert placement.kernel == ENTRY  # type: ignore[attr-defined]


@pytest.mark.parametrize("file", [b"", bzimage()[:0x202], b"MZ" + bytes(3000)])
def test_what_is_neither_is_refused(file: bytes) -> None:
    guest = Guest(4096, 0x250, 0, "", file)
    with pytest.raises(Raised) as raised:
        guest.call("read", guest.description)
    assert raised.value.code == EINVAL


def test_without_what_unpacks_it_a_bzimage_is_refused() -> None:
    guest = Guest(4096, 0x250, 0, "")
    host().variable("hv.x86.packed_kernel.unpacker").program.length = 0
    with pytest.raises(Raised):
        guest.call("read", guest.description)
