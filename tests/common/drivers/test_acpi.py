"""ACPI's tables: found, read and checked, against tables that the tests write; and against anything at all."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.drivers import acpi_writer as w
from tests.common.host import EINVAL, ENOENT, host

FIRMWARE = "hv.sim.firmware."
ENODEV = 19


def start(memory_of):
    memory = w.PhysicalMap()
    memory_of(memory)
    host().cleared(f"{FIRMWARE}firmware")
    return host().errno(f"{FIRMWARE}start_acpi")


def found(signature):
    """(length, last byte) of each table."""
    lines = host().call(f"{FIRMWARE}tables_text", signature).splitlines()
    return [tuple(map(int, line.split())) for line in lines]


def text(reader, data):
    """What a reader tells, line by line; its errno instead when it raises."""
    view = host().bytes(data)[0]
    code = host().errno(f"{FIRMWARE}{reader}", view)
    return code or host().call(f"{FIRMWARE}{reader}", view).splitlines()


def damaged():
    return host().ffi.addressof(host().variable(f"{FIRMWARE}firmware"), "acpi").damaged


# Finding


SSDTS = {0x7F0_0000 + i * 0x1000: w.table(b"SSDT", bytes([i + 1] * (i + 3))) for i in range(3)}


def machine(memory, revision=2, pointer_at=w.RSDP_AT):
    tables = dict(SSDTS)
    memory.put(w.XSDT_AT, w.xsdt([*tables]))
    memory.put(w.RSDT_AT, w.rsdt([*tables][:1]))
    for address, data in tables.items():
        memory.put(address, data)
    pointer = w.rsdp(w.RSDT_AT, w.XSDT_AT, revision)
    if pointer_at >= w.BIOS:
        memory.bios({pointer_at: pointer})
    else:
        memory.bios({}, 0x9_FC00)
        area = bytearray(1024)
        area[pointer_at - 0x9_FC00 : pointer_at - 0x9_FC00 + len(pointer)] = pointer
        memory.put(0x9_FC00, bytes(area))


@pytest.mark.parametrize("at", [w.BIOS, w.RSDP_AT, 0xF_FFD0, 0x9_FC00, 0x9_FC40])
def test_revision_2_leads_to_the_xsdt(at):
    assert start(lambda memory: machine(memory, pointer_at=at)) == 0
    assert found("SSDT") == [(39, 1), (40, 2), (41, 3)]
    assert found("FACP") == []


def test_revision_0_leads_to_the_rsdt():
    assert start(lambda memory: machine(memory, 0, 0xF_FFE0)) == 0
    assert found("SSDT") == [(39, 1)]


def test_a_pointer_without_xsdt_leads_to_the_rsdt():
    def layout(memory):
        memory.bios({w.RSDP_AT: w.rsdp(w.RSDT_AT, 0, 2)})
        memory.put(w.RSDT_AT, w.rsdt([0x7F0_0000]))
        memory.put(0x7F0_0000, w.table(b"SSDT", b"a"))

    assert start(layout) == 0
    assert found("SSDT") == [(37, ord("a"))]


def test_no_pointer_anywhere():
    assert start(lambda memory: memory.bios({}, 0x9_FC00)) == ENOENT
    assert start(lambda memory: memory.bios({w.RSDP_AT + 8: w.rsdp(w.RSDT_AT)})) == ENOENT  # at no 16-byte step
    broken = bytearray(w.rsdp(w.RSDT_AT))
    broken[17] ^= 1
    assert start(lambda memory: memory.bios({w.RSDP_AT: bytes(broken)})) == ENOENT


def test_a_false_pointer_is_passed_over():
    false = bytearray(w.rsdp(0x1234, 0x5678, 2))
    false[30] ^= 0x40  # the sum of the old part still holds

    def layout(memory):
        memory.bios({w.BIOS + 0x100: bytes(false), w.RSDP_AT: w.rsdp(w.RSDT_AT, w.XSDT_AT, 2)})
        memory.put(w.XSDT_AT, w.xsdt([]))

    assert start(layout) == 0
    assert found("SSDT") == []


def test_a_pointer_that_the_boot_loader_hands_over():
    memory = w.PhysicalMap()
    machine(memory)
    for data, code in [
        (w.rsdp(w.RSDT_AT), 0),
        (w.rsdp(w.RSDT_AT, w.XSDT_AT, 2), 0),
        (w.rsdp(w.RSDT_AT, w.XSDT_AT, 2)[:35], EINVAL),
        (w.rsdp(w.RSDT_AT)[:19], EINVAL),
        (w.rsdp(0x100), EINVAL),
        (w.rsdp(0x7F0_0000), EINVAL),  # another table
        (b"", EINVAL),
    ]:
        host().cleared(f"{FIRMWARE}firmware")
        assert host().errno(f"{FIRMWARE}start_acpi_from", host().bytes(data)[0]) == code, data


@pytest.mark.parametrize(
    "root",
    [
        w.table(b"FACP", bytes(8)),
        w.xsdt([0])[:-1] + b"\x01",
        w.xsdt([0])[:4] + struct.pack("<I", 35) + w.xsdt([0])[8:],
        w.xsdt([0])[:4] + struct.pack("<I", 2**32 - 1) + w.xsdt([0])[8:],
        w.xsdt([0])[:30],
    ],
)
def test_a_bad_root_table_is_refused(root):
    def layout(memory):
        memory.bios({w.RSDP_AT: w.rsdp(w.RSDT_AT, w.XSDT_AT, 2)})
        memory.put(w.XSDT_AT, root)

    assert start(layout) == EINVAL
    assert found("SSDT") == []


def test_damaged_tables_are_passed_over_and_counted():
    def layout(memory):
        good = w.table(b"SSDT", b"abcd")
        pieces = [good, good[:-1] + b"x", good[:36], good[:20], good[:4] + bytes(4) + good[8:], good]
        places = [0x10_0000 * (i + 1) for i in range(len(pieces))]
        memory.bios({w.RSDP_AT: w.rsdp(w.RSDT_AT, w.XSDT_AT, 2)})
        memory.put(w.XSDT_AT, w.xsdt([0, 0xDEAD_0000, 2**64 - 8, *places]))
        for place, piece in zip(places, pieces, strict=True):
            memory.put(place, piece)

    assert start(layout) == 0
    assert found("SSDT") == [(40, ord("d")), (40, ord("d"))]
    assert damaged() == 3


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [((b"good",), 40), ((b"bad!", b"good"), 40), ((b"bad!", b"bad!"), EINVAL), ((), ENOENT)],
)
def test_a_damaged_table_is_told_from_none(pieces, answer):
    def layout(memory):
        tables = [w.table(b"SPCR", piece) for piece in pieces]
        tables = [t[:-1] + b"?" if t.endswith(b"!") else t for t in tables]
        memory.bios({w.RSDP_AT: w.rsdp(w.RSDT_AT, w.XSDT_AT, 2)})
        memory.put(w.XSDT_AT, w.xsdt([0xDEAD_0000, *(0x10_0000 * (i + 1) for i in range(len(tables) + 1))]))
        for i, table in enumerate([*tables, w.table(b"SSDT", b"else")]):
            memory.put(0x10_0000 * (i + 1), table)

    assert start(layout) == 0
    if answer == 40:
        assert host().call(f"{FIRMWARE}find_table", "SPCR") == 40
    else:
        assert host().errno(f"{FIRMWARE}find_table", "SPCR") == answer


def test_more_entries_than_tables_are_read():
    def layout(memory):
        memory.bios({w.RSDP_AT: w.rsdp(w.RSDT_AT, w.XSDT_AT, 2)})
        memory.put(w.XSDT_AT, w.xsdt([0x10_0000] * 3000))
        memory.put(0x10_0000, w.table(b"SSDT", b"e"))

    assert start(layout) == 0
    assert len(found("SSDT")) == 512


# MADT


QEMU_MADT = w.madt(
    [
        w.lapic(0, 0),
        w.lapic(1, 1),
        w.lapic(2, 2, 0),
        w.lapic(3, 3, 2),
        w.lapic(4, 0xFF),
        w.io_apic(0, 0xFEC0_0000, 0),
        w.io_apic(9, 0xFEC1_0000, 24),
        w.override(0, 2, 0),
        w.override(9, 9, 0b1101),
        w.override(5, 21, 0b1111, bus=1),
        w.nmi_source(0b1111, 30),
        w.x2apic(300, 0x1234),
        w.x2apic(301, 0x1235, 0),
        w.local_nmi(0xFF, 0, 1),
        w.local_nmi(3, 0b1111, 0),
        w.x2apic_nmi(0xFFFF_FFFF, 0b0101, 1),
        bytes([0x7F, 3, 0]),
    ]
)


def test_madt():
    lines = text("madt_text", QEMU_MADT)
    assert [line for line in lines if not line.startswith("isa ")] == [
        "apic 0xfee00000 True",
        "cpu 0 0 True False",
        "cpu 1 1 True False",
        "cpu 3 3 False True",
        "cpu 4660 300 True False",
        "ioapic 0 0xfec00000 0",
        "ioapic 9 0xfec10000 24",
        "nmi 30 True True",
        "lint 4294967295 1 False False",
        "lint 3 0 True True",
        "lint 4294967295 1 False False",
    ]
    isa = {int(line.split()[1]): line.split()[2:] for line in lines if line.startswith("isa ")}
    assert isa.pop(0) == ["2", "False", "False"]
    assert isa.pop(9) == ["9", "False", "True"]
    assert isa == {i: [str(i), "False", "False"] for i in isa}


def test_online_capable_is_reserved_in_old_tables():
    lines = text("madt_text", w.madt([w.lapic(0, 0), w.lapic(3, 3, 2)], flags=0, revision=3))
    assert lines[:2] == ["apic 0xfee00000 False", "cpu 0 0 True False"]
    assert "cpu 3 3 False True" not in lines


def test_the_local_apics_address_can_be_beyond_4_gib():
    assert text("madt_text", w.madt([w.lapic(0, 0), w.address_override(0x12_FEE0_0000)]))[0] == "apic 0x12fee00000 True"


ENTRIES = [
    w.lapic(0, 0), w.io_apic(0, 1, 2), w.override(1, 2, 3), w.nmi_source(0, 1), w.local_nmi(0, 0, 1),
    w.address_override(1), w.x2apic(1, 2), w.x2apic_nmi(1, 2, 3),
]  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: str(e[0]))
def test_a_structure_that_is_too_short(entry):
    short = bytes([entry[0], len(entry) - 1]) + entry[2:-1]
    assert text("madt_text", w.madt([short])) == EINVAL
    longer = bytes([entry[0], len(entry) + 3]) + entry[2:] + bytes(3)
    assert text("madt_text", w.madt([longer, w.lapic(7, 7)])) != EINVAL


@pytest.mark.parametrize("rest", [b"\0", b"\0\0", b"\0\1", b"\x7f\0", b"\x7f\3\0\x7f", b"\x7f\xff" + bytes(100)])
def test_a_list_of_structures_that_does_not_end_with_the_table(rest):
    assert text("madt_text", w.madt([rest])) == EINVAL


# FADT


FULL_FADT = {
    "at46": 9, "at48": 0xB2, "at52": 0xF1, "at64": 0x604, "at68": 0, "at76": 0x608, "at89": 2, "at91": 4,
    "at108": 0x32, "at109": 0x2, "at112": 1 << 10 | 1 << 8, "at116": w.gas(1, 8, 1, 0xCF9), "at128": 0xF,
    "at40": 0x7FE_1000,
}  # fmt: skip


def test_fadt_with_ports():
    for length, revision, reset in [(276, 6, True), (244, 3, True), (129, 2, True), (116, 1, False)]:
        lines = text("fadt_text", w.fadt(length, revision, **FULL_FADT))
        assert lines[0] == f"flags 0x500 {'0x2' if revision > 1 else '0x0'} sci 9"
        assert lines[1:4] == [
            "smi 0xb2 241 century 50",
            f"dsdt 0x7fe1000 timer bits 32 reset {15 if reset else 0}",
            "timer PORT 32 0 0x608",
        ]
        assert lines[4:7] == ["pm1a PORT 16 0 0x604", "pm1b PORT 16 0 0x0", "sleep MEMORY 0 0 0x0"]
        assert lines[7] == ("reset PORT 8 1 0xcf9" if reset else "reset MEMORY 0 0 0x0")


def test_generic_addresses_win():
    fields = dict(
        FULL_FADT,
        at112=1 << 10 | 1 << 20,
        at116=w.gas(0, 8, 1, 0xFED0_0000),
        at140=0x1_0000_0000,
        at172=w.gas(0, 16, 2, 0xFED0_1000),
        at184=w.gas(3, 16, 2, 0x77),
        at208=w.gas(0, 32, 3, 0xFED0_2000),
        at244=w.gas(0, 8, 1, 0xFED0_3000),
    )
    assert text("fadt_text", w.fadt(**fields))[2:] == [
        "dsdt 0x100000000 timer bits 24 reset 15",
        "timer MEMORY 32 3 0xfed02000",
        "pm1a MEMORY 16 2 0xfed01000",
        "pm1b OTHER 16 2 0x77",
        "sleep MEMORY 8 1 0xfed03000",
        "reset MEMORY 8 1 0xfed00000",
    ]


def test_no_timer_and_no_reset_where_the_table_says_so():
    lines = text("fadt_text", w.fadt(**dict(FULL_FADT, at91=0, at112=0, at89=0)))
    assert lines[3:5] == ["timer PORT 0 0 0x0", "pm1a PORT 0 0 0x0"]
    assert lines[-1] == "reset MEMORY 0 0 0x0"


def test_a_fadt_that_is_too_short():
    assert text("fadt_text", w.fadt(115, 1)) == EINVAL


# Sleep states


def aml(*pieces, signature=b"DSDT"):
    return w.table(signature, b"".join(pieces))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (w.sleep_package(b"\x0a\x05\x0a\x06\x00\x00", 4), "5 6"),
        (w.sleep_package(b"\x00\x00\x00\x00", 4), "0 0"),
        (w.sleep_package(b"\x01\x0a\x07", 2), "1 7"),
        (w.sleep_package(b"\x0b\x05\x00\x0c\x03\x00\x00\x00", 2), "5 3"),
        (w.sleep_package(b"\x0b\x05\x06", 1), "5 6"),
        (w.sleep_package(b"\x0a\x05\x0a\x05", 4, forced=1), "5 5"),
        (w.sleep_package(b"\x0a\x05\x0a\x05", 4, forced=3), "5 5"),
        (w.sleep_package(b"\x0a\x05\x0a\x05", 4, prefix=b"\x08\\"), "5 5"),
        (w.sleep_package(b"\x0a\x05\x0a\x05", 4, prefix=b"\x5b"), "ENOENT"),
        (w.sleep_package(b"\x0a\x09\x0a\x05", 4), "ENOENT"),
        (w.sleep_package(b"\x0a\x05\x0a\x08", 4), "ENOENT"),
        (w.sleep_package(b"ABCD\x00", 4), "ENOENT"),
        (w.sleep_package(b"\x0a", 1), "ENOENT"),
        (w.sleep_package(b"\x0a\x05", 2), "ENOENT"),
        (w.sleep_package(b"", 0), "ENOENT"),
        (b"\x08_S5_\x12", "ENOENT"),
        (b"\x08_S5_\x12\xc4\x01", "ENOENT"),
        (b"\x08_S5_\x12\x3f\x04\x0a\x05", "ENOENT"),
        (b"\x08_S5", "ENOENT"),
        (b"", "ENOENT"),
        # A method of this name, and the word in other data, stand before the definition.
        (b"\x14\x08_S5_\x00\xa4\x08_S5_\x11" + w.sleep_package(b"\x0a\x03\x0a\x04", 2), "3 4"),
    ],
)
def test_soft_off(code, said):
    assert text("sleep_text", aml(b"\x10\x20\x30", code)) == [said]
    assert text("sleep_text", aml(code)) == [said]


# Smaller tables


def test_hpet():
    body = struct.pack("<I12sBHB", 0x8086_A201, w.gas(0, 64, 0, 0xFED0_0000), 0, 100, 0)
    assert text("hpet_text", w.table(b"HPET", body)) == ["0x8086a201", "hpet MEMORY 64 0 0xfed00000"]
    assert text("hpet_text", w.table(b"HPET", body[:-1])) == EINVAL


def test_mcfg():
    entries = struct.pack("<QHBB4x", 0xB000_0000, 0, 0, 255) + struct.pack("<QHBB4x", 1 << 40, 7, 16, 31)
    wrong = struct.pack("<QHBB4x", 0xC000_0000, 0, 5, 4)
    assert text("mcfg_text", w.table(b"MCFG", bytes(8) + entries + wrong + bytes(15))) == [
        "0xb0000000 0 0 255",
        "0x10000000000 7 16 31",
    ]
    for short in (b"", bytes(7), bytes(23)):
        assert text("mcfg_text", w.table(b"MCFG", short)) == []
    assert text("mcfg_text", b"MCFG") == []


def spcr(kind=0, base=w.gas(1, 8, 0, 0x3F8), interrupts=3, pci=(0xFFFF, 0xFFFF, 0, 0, 0), baud=7, revision=2, clock=0,
         segment=0):  # fmt: skip
    body = struct.pack("<B3x12sBBIBBBBBB", kind, base, interrupts, 4, 20, baud, 0, 1, 0, 3, 0)
    return w.table(b"SPCR", body + struct.pack("<HHBBBIBI", *pci, 0, segment, clock), revision)


def test_spcr():
    assert text("spcr_text", spcr()) == [
        "kind 0 True False gsi True 20",
        "irq True 4 speed 115200 clock 0",
        "pci False 0 0 0 0",
        "base PORT 8 0 0x3f8",
    ]
    arm = spcr(3, w.gas(0, 32, 3, 0x900_0000), 8, baud=0, revision=4, clock=24_000_000)
    assert text("spcr_text", arm) == [
        "kind 3 False True gsi True 20",
        "irq False 4 speed 0 clock 24000000",
        "pci False 0 0 0 0",
        "base MEMORY 32 3 0x9000000",
    ]
    assert text("spcr_text", spcr(0x12, interrupts=0, pci=(0x1234, 0x8086, 2, 31, 7), segment=5))[0:3] == [
        "kind 18 True False gsi False 20",
        "irq False 4 speed 115200 clock 0",
        "pci True 5 2 31 7",
    ]
    assert text("spcr_text", spcr(0x0E))[0].startswith("kind 14 False True")
    assert text("spcr_text", spcr(base=w.gas(0, 0, 0, 0))) == ENODEV
    assert text("spcr_text", spcr()[:79]) == EINVAL
    for wrong in ((0x1234, 0x8086, 2, 32, 7), (0x1234, 0x8086, 2, 31, 8), (1, 2, 255, 255, 255)):
        assert text("spcr_text", spcr(pci=wrong)) == EINVAL


def test_srat():
    entries = [
        struct.pack("<BBBBIB3sI", 0, 16, 1, 7, 1, 0, b"\x02\x03\x04", 0),
        struct.pack("<BBBBIB3sI", 0, 16, 1, 8, 0, 0, bytes(3), 0),
        struct.pack("<BBIHQQIIQ", 1, 40, 0x1_0002, 0, 0, 0xA_0000, 0, 1, 0),
        struct.pack("<BBIHQQIIQ", 1, 40, 3, 0, 1 << 32, 1 << 33, 0, 3, 0),
        struct.pack("<BBIHQQIIQ", 1, 40, 3, 0, 1 << 34, 1 << 33, 0, 2, 0),
        struct.pack("<BBHIIII4x", 2, 24, 0, 0x1_0003, 0x200, 1, 0),
        bytes([3, 4, 1, 2]),
    ]
    assert text("srat_text", w.table(b"SRAT", bytes(12) + b"".join(entries), 3)) == [
        f"cpu 7 {0x0403_0201}",
        f"cpu 512 {0x1_0003}",
        f"memory 0x0 0xa0000 {0x1_0002} False",
        "memory 0x100000000 0x200000000 3 True",
    ]
    old = text("srat_text", w.table(b"SRAT", bytes(12) + b"".join(entries), 1))
    assert old[0] == "cpu 7 1" and old[2] == "memory 0x0 0xa0000 2 False"
    assert text("srat_text", w.table(b"SRAT", bytes(11))) == EINVAL
    for entry in entries[:1] + entries[2:3] + entries[5:6]:
        short = bytes([entry[0], len(entry) - 1]) + entry[2:-1]
        assert text("srat_text", w.table(b"SRAT", bytes(12) + short)) == EINVAL


# Anything at all


READERS = ["madt_text", "fadt_text", "hpet_text", "mcfg_text", "spcr_text", "srat_text", "sleep_text"]
SOUND = {
    "madt_text": QEMU_MADT,
    "fadt_text": w.fadt(**FULL_FADT),
    "hpet_text": w.table(b"HPET", bytes(20)),
    "mcfg_text": w.table(b"MCFG", bytes(40)),
    "spcr_text": spcr(),
    "srat_text": w.table(b"SRAT", bytes(12) + struct.pack("<BBIHQQIIQ", 1, 40, 3, 0, 1, 2, 0, 3, 0)),
    "sleep_text": aml(w.sleep_package(b"\x0a\x05\x0a\x06", 2, forced=2)),
}


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=150)
@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), cut=st.integers(0, 400))
def test_damaged_tables_do_no_harm(reader, changes, cut):
    """Bytes behind the header are changed and the end is cut off: the memory behind it belongs to nobody."""
    data = bytearray(SOUND[reader])
    for at, byte in changes:
        data[36 + at % (len(data) - 36)] = byte
    if cut < len(data):
        del data[max(36, len(data) - cut) :]
    host().kept.clear()
    answer = text(reader, bytes(data))
    assert isinstance(answer, list) or answer in (EINVAL, ENODEV)


@given(st.binary(max_size=64), st.sampled_from(READERS))
def test_bytes_that_are_no_table(body, reader):
    host().kept.clear()
    answer = text(reader, w.table(b"ABCD", body))
    assert isinstance(answer, list) or answer in (EINVAL, ENODEV)


@settings(max_examples=200)
@given(st.data())
def test_damaged_root_tables_do_no_harm(data):
    source = random.Random(data.draw(st.integers(0, 2**32)))
    root = bytearray(w.xsdt([*SSDTS, source.randrange(2**64)]))
    pointer = bytearray(w.rsdp(w.RSDT_AT, w.XSDT_AT, 2))
    for _ in range(source.randint(0, 3)):
        root[source.randrange(4, len(root))] = source.choice([0, 1, 0xFF, source.randrange(256)])
    for _ in range(source.randint(0, 2)):
        pointer[source.randrange(len(pointer))] = source.choice([0, 1, 0xFF, source.randrange(256)])
    if source.random() < 0.8:
        root = bytearray(w.summed(root, 9))
        pointer = bytearray(w.summed(w.summed(pointer, 8, 0, 20), 32))

    def layout(memory):
        memory.bios({w.RSDP_AT: bytes(pointer)})
        memory.put(w.XSDT_AT, bytes(root))
        for address, table in SSDTS.items():
            memory.put(address, table)

    if start(layout) == 0:
        assert all(entry in [(39, 1), (40, 2), (41, 3)] for entry in found("SSDT"))
