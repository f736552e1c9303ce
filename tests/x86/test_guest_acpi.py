"""The ACPI tables that PVH guests find: every field, and what ACPI's own compiler reads in them."""

from __future__ import annotations

import itertools
import re
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import ENOSPC, Raised, host

ROOM = 0x2000
MIB = 1 << 20
MOST = 128


def tables(at: int, processors: int) -> bytes:
    room = host().bytes(b"", ROOM)
    host().call("hv.x86.hvm.acpi.write_tables", room[0], at, processors)
    return host().contents(room[0])


def table(data: bytes, offset: int, signature: bytes, revision: int) -> bytes:
    """Whose header is as it has to be."""
    name, length, found = struct.unpack_from("<4sIB", data, offset)
    assert (name, found) == (signature, revision) and 36 <= length <= ROOM - offset
    whole = data[offset : offset + length]
    assert sum(whole) % 256 == 0
    assert whole[10:36] == struct.pack("<6s8sI4sI", b"Constr", b"PVH", 1, b"CNST", 1)
    return whole


AT = st.integers(2, (1 << 20) - 4).map(lambda page: page << 12)


@given(at=AT, processors=st.integers(1, MOST))
def test_every_pointer_leads_to_its_table(at: int, processors: int) -> None:
    data = tables(at, processors)
    signature, _, oem, revision, old, length, xsdt_at, _ = struct.unpack_from("<8sB6sBIIQI", data)
    assert (signature, oem, revision, old, length) == (b"RSD PTR ", b"Constr", 2, 0, 36)
    assert sum(data[:20]) % 256 == 0 and sum(data[:36]) % 256 == 0
    xsdt = table(data, xsdt_at - at, b"XSDT", 1)
    fadt_at, madt_at = struct.unpack("<2Q", xsdt[36:])
    fadt = table(data, fadt_at - at, b"FACP", 5)
    madt = table(data, madt_at - at, b"APIC", 3)
    facs_at, dsdt_at = struct.unpack_from("<II", fadt, 36)
    dsdt = table(data, dsdt_at - at, b"DSDT", 2)
    assert struct.unpack_from("<4s5IQB", data, facs_at - at) == (b"FACS", 64, 0, 0, 0, 0, 0, 2) and facs_at % 64 == 0
    places = [(0, 36), (xsdt_at - at, len(xsdt)), (facs_at - at, 64), (fadt_at - at, len(fadt))]
    places += [(madt_at - at, len(madt)), (dsdt_at - at, len(dsdt))]
    places.sort()
    assert all(start + length <= following for (start, length), (following, _) in itertools.pairwise(places))
    used = {byte for start, length in places for byte in range(start, start + length)}
    assert not any(byte for offset, byte in enumerate(data) if offset not in used)


def test_the_fadt_says_what_there_is_not() -> None:
    """Every byte: nothing but the PM1 blocks that a machine which is not hardware-reduced must have."""
    at = 0x10_0000
    data = tables(at, 2)
    fadt = table(data, 192, b"FACP", 5)
    facs, dsdt = struct.unpack_from("<II", fadt, 36)
    expected = bytearray(268)
    expected[:36] = fadt[:36]
    struct.pack_into("<II", expected, 36, facs, dsdt)
    struct.pack_into("<H", expected, 46, 9)
    struct.pack_into("<I", expected, 56, 0xB000)
    struct.pack_into("<I", expected, 64, 0xB004)
    expected[88:90] = 4, 2
    struct.pack_into("<HH", expected, 96, 0xFFFF, 0xFFFF)
    struct.pack_into("<HxI", expected, 109, 1 << 2 | 1 << 5, 0b1110101)
    struct.pack_into("<Q", expected, 140, dsdt)
    struct.pack_into("<BBBBQ", expected, 148, 1, 32, 0, 2, 0xB000)
    struct.pack_into("<BBBBQ", expected, 172, 1, 16, 0, 2, 0xB004)
    assert fadt == expected
    assert not struct.unpack_from("<I", fadt, 112)[0] >> 20 & 1, "hardware-reduced"


@pytest.mark.parametrize("processors", range(1, MOST + 1))
def test_the_madt_lists_each_processor_by_its_apic(processors: int) -> None:
    madt = table(tables(0x10_0000, processors), 512, b"APIC", 3)
    assert struct.unpack_from("<II", madt, 36) == (0xFEE0_0000, 0)
    entries = [struct.unpack_from("<BBBBI", madt, at) for at in range(44, len(madt), 8)]
    assert entries == [(0, 8, uid, uid * 2, 1) for uid in range(processors)]


@given(uid=st.integers(0, 127), apic=st.integers(0, 0xFFFF_FFFF))
def test_an_apic_that_eight_bits_cannot_tell_has_an_x2apics_entry(uid: int, apic: int) -> None:
    room = host().bytes(b"", 16)
    length = host().call("hv.x86.hvm.acpi.put_processor", room[0], uid, apic)
    narrow = struct.pack("<BBBBI", 0, 8, uid, apic & 0xFF, 1)
    wide = struct.pack("<BBHIII", 9, 16, 0, apic, 1, uid)
    assert host().contents(room[0])[:length] == (narrow if apic < 255 else wide)


@pytest.mark.parametrize("room", [0, 35, 511, ROOM - 1])
def test_too_little_room_is_told(room: int) -> None:
    made = host().bytes(b"", room)
    with pytest.raises(Raised) as raised:
        host().call("hv.x86.hvm.acpi.write_tables", made[0], 0x10_0000, 1)
    assert raised.value.code == ENOSPC


@pytest.mark.parametrize("processors", [1, 2, 16, 17, MOST])
def test_acpis_own_compiler_reads_what_was_meant(processors: int, tmp_path: Path) -> None:
    """It compiles the DSDT again as it reads it, and finds no field of the other tables wrong."""
    data = tables(0x10_0000, processors)
    places = {"facp": 192, "apic": 512, "dsdt": struct.unpack_from("<I", data, 192 + 40)[0] - 0x10_0000}
    for name, offset in places.items():
        length = struct.unpack_from("<I", data, offset + 4)[0]
        (tmp_path / f"{name}.dat").write_bytes(data[offset : offset + length])
        iasl(tmp_path, "-d", f"{name}.dat")
    said = (tmp_path / "dsdt.dsl").read_text()
    ids = [f"C{n:03X}" for n in range(processors)]
    assert re.findall(r"Device \((\w+)\)", said) == ids
    numbers = {"Zero": 0, "One": 1}
    uids = [numbers[n] if n in numbers else int(n, 0) for n in re.findall(r"_UID, (\w+)\)", said)]
    assert uids == list(range(processors)) and said.count('Name (_HID, "ACPI0007"') == processors
    assert "Scope (_SB)" in said or "Scope (\\_SB)" in said
    assert " 0 Errors, 0 Warnings" in iasl(tmp_path, "-p", "again", "dsdt.dsl")
    for name, words in {"facp": ["VGA Not Present (V4) : 1", "CMOS RTC Not Present (V5) : 1"], "apic": []}.items():
        text = (tmp_path / f"{name}.dsl").read_text()
        assert all(word in text for word in words) and "Incorrect" not in text and "Invalid" not in text


def iasl(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["iasl", *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@given(frames=st.one_of(st.integers(1, 4096), st.integers(1, 0xC0000), st.integers(1, 0x200_0000)))
def test_the_memory_map_has_all_memory_once(frames: int) -> None:
    """As start information and XENMEM_memory_map tell it: RAM and the tables' pages are what the domain has, and no two
    regions meet. The simulated machine's lower bank has 3 GiB, and its upper one begins at 8 GiB.
    """
    map = host().library.new("hv.x86.hvm.guest_map.GuestMap")
    host().call("hv.x86.hvm.guest_map.GuestMap.init", map, frames)
    regions = [(r.start, r.bytes, r.kind) for r in map.regions[0 : map.count]]
    assert all(bytes and start % 4096 == 0 and bytes % 4096 == 0 for start, bytes, _ in regions)
    assert all(a[0] + a[1] <= b[0] for a, b in itertools.pairwise(regions))
    (tables,) = (r for r in regions if r[2] == 3)
    assert tables[1] == ROOM
    if frames > 2:
        assert sum(bytes for _, bytes, kind in regions if kind != 2) == frames * 4096
        assert tables[0] + ROOM == min(frames * 4096, 0x3800_0000)
    assert [(start, bytes) for start, bytes, kind in regions if kind == 2] == [(0xFEE0_0000, 0x20_0000)]
