"""ACPI tables written by the tests' own hand, from the specification, and laid out in simulated physical memory."""

from __future__ import annotations

import struct

from tests.common.host import host

XSDT_AT, RSDT_AT, RSDP_AT = 0x7FE_0000, 0x7FD_0000, 0xF_5AA0
BIOS = 0xE_0000


def summed(data: bytes | bytearray, at: int, start: int = 0, end: int | None = None) -> bytes:
    """With the byte at `at` such that the bytes of the range add up to 0."""
    out = bytearray(data)
    out[at] = 0
    out[at] = -sum(out[start:end]) & 0xFF
    return bytes(out)


def table(signature: bytes, body: bytes, revision: int = 1) -> bytes:
    head = struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(body), revision, 0, b"TESTER", b"BYHAND  ", 1, b"HAND", 1)
    return summed(head + body, 9)


def rsdp(rsdt: int, xsdt: int = 0, revision: int = 0) -> bytes:
    old = struct.pack("<8sB6sBI", b"RSD PTR ", 0, b"TESTER", revision, rsdt)
    data = summed(old, 8)
    if revision >= 2:
        data += struct.pack("<IQB3x", 36, xsdt, 0)
        data = summed(data, 32)
    return data


def rsdt(addresses: list[int]) -> bytes:
    return table(b"RSDT", b"".join(struct.pack("<I", a) for a in addresses))


def xsdt(addresses: list[int]) -> bytes:
    return table(b"XSDT", b"".join(struct.pack("<Q", a) for a in addresses))


class PhysicalMap:
    """The simulated machine's memory beside its RAM."""

    def __init__(self) -> None:
        self.it = host().cleared("hv.sim.physical.physical")
        host().kept.clear()

    def put(self, address: int, data: bytes) -> None:
        host().call("hv.sim.physical.SimulatedPhysical.add", self.it, address, host().bytes(data)[0])

    def bios(self, pointers: dict[int, bytes], ebda: int = 0) -> None:
        area = bytearray(0x2_0000)
        for at, data in pointers.items():
            area[at - BIOS : at - BIOS + len(data)] = data
        self.put(BIOS, bytes(area))
        self.put(0x40E, struct.pack("<H", ebda >> 4))


def lapic(uid: int, apic_id: int, flags: int = 1) -> bytes:
    return struct.pack("<BBBBI", 0, 8, uid, apic_id, flags)


def io_apic(number: int, address: int, first: int) -> bytes:
    return struct.pack("<BBBBII", 1, 12, number, 0, address, first)


def override(irq: int, gsi: int, flags: int, bus: int = 0) -> bytes:
    return struct.pack("<BBBBIH", 2, 10, bus, irq, gsi, flags)


def nmi_source(flags: int, gsi: int) -> bytes:
    return struct.pack("<BBHI", 3, 8, flags, gsi)


def local_nmi(uid: int, flags: int, lint: int) -> bytes:
    return struct.pack("<BBBHB", 4, 6, uid, flags, lint)


def address_override(address: int) -> bytes:
    return struct.pack("<BBHQ", 5, 12, 0, address)


def x2apic(uid: int, apic_id: int, flags: int = 1) -> bytes:
    return struct.pack("<BBHIII", 9, 16, 0, apic_id, flags, uid)


def x2apic_nmi(uid: int, flags: int, lint: int) -> bytes:
    return struct.pack("<BBHIB3x", 10, 12, flags, uid, lint)


def madt(entries: list[bytes], flags: int = 1, address: int = 0xFEE0_0000, revision: int = 5) -> bytes:
    return table(b"APIC", struct.pack("<II", address, flags) + b"".join(entries), revision)


def gas(space: int, bits: int, access: int, address: int) -> bytes:
    return struct.pack("<BBBBQ", space, bits, 0, access, address)


def fadt(length: int = 276, revision: int = 6, **fields: int | bytes) -> bytes:
    """Fields by their offsets: `at76=...` with the width that the value of the field has in `FADT_WIDTHS`."""
    data = bytearray(length - 36)
    for name, value in fields.items():
        at = int(name[2:]) - 36
        piece = value if isinstance(value, bytes) else value.to_bytes(FADT_WIDTHS[at + 36], "little")
        if at + len(piece) <= len(data):
            data[at : at + len(piece)] = piece
    return table(b"FACP", bytes(data), revision)


FADT_WIDTHS = {
    40: 4, 46: 2, 48: 4, 52: 1, 64: 4, 68: 4, 76: 4, 89: 1, 91: 1, 108: 1, 109: 2, 112: 4, 128: 1, 140: 8,
}  # fmt: skip


def package_length(size: int, forced: int = 0) -> bytes:
    """The encoding of a package's length (20.2.4), which counts itself; `forced` bytes more than needed."""
    for more in range(4):
        whole = size + 1 + more
        if more >= forced and whole < (64 if more == 0 else 1 << 4 + 8 * more):
            break
    if more == 0:
        return bytes([whole])
    return bytes([more << 6 | whole & 0xF]) + (whole >> 4).to_bytes(more, "little")


def sleep_package(elements: bytes, count: int, forced: int = 0, prefix: bytes = b"\x08") -> bytes:
    body = bytes([count]) + elements
    return prefix + b"_S5_\x12" + package_length(len(body), forced) + body
