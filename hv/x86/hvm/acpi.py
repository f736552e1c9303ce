"""The ACPI tables of a PVH guest, as Xen's have them: RSDP, XSDT, FADT of revision 5, FACS, MADT, and a DSDT that names
the processors. There is nothing else to be found by ACPI: no VGA, no CMOS clock, no interrupt controller but the local
APICs. The machine is not of the hardware-reduced kind; behind its PM1 registers is nothing, which reads as ACPI mode
being on.

Source: ACPI Specification 5.0: RSDP 5.2.5.3, headers 5.2.6, XSDT 5.2.8, FADT 5.2.9, FACS 5.2.10, MADT 5.2.12.
"""

from hv.common.lib.span import Bytes
from hv.common.model.vcpu import MAX_VCPUS
from hv.lang import Errno, Final, bounded, raises, truncate, u8, u16, u32, u64
from hv.x86.hvm.aml import AmlWriter
from hv.x86.hvm.lapic import apic_id

TABLES_BYTES: Final[u64] = 0x2000
"""Room for the tables of any domain, in whole pages."""

RSDP: Final[u64] = 0
XSDT: Final[u64] = 64
FACS: Final[u64] = 128  # at a multiple of 64
FADT: Final[u64] = 192
MADT: Final[u64] = 512
RSDP_BYTES: Final[u64] = 36
RSDP_FIRST_BYTES: Final[u64] = 20  # those of revision 0, which have a checksum of their own
HEADER_BYTES: Final[u64] = 36
XSDT_BYTES: Final[u64] = HEADER_BYTES + 2 * 8
FACS_BYTES: Final[u64] = 64
FADT_BYTES: Final[u64] = 268
MADT_HEAD_BYTES: Final[u64] = 44
LOCAL_APIC_BYTES: Final = 8
LOCAL_X2APIC_BYTES: Final = 16
FIRST_WIDE_ID: Final[u32] = 255  # from here on only an x2APIC's entry can tell it
LOCAL_APICS: Final[u32] = 0xFEE0_0000
ENABLED: Final[u32] = 1

FADT_FLAGS: Final[u32] = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6
"""WBINVD works, all processors have C1; power button, sleep button and the clock's wake are in no fixed registers."""
NO_VGA: Final[u16] = 1 << 2
NO_CMOS_RTC: Final[u16] = 1 << 5
SCI: Final[u16] = 9
PM1A_EVENT: Final[u32] = 0xB000  # ports
PM1A_CONTROL: Final[u32] = 0xB004
PORT: Final[u8] = 1  # an address space
WORD_ACCESS: Final[u8] = 2
NEVER: Final[u16] = 0xFFFF  # microseconds: there is no such sleep

OEM: Final = "Constr"
OEM_TABLE: Final = "PVH"
CREATOR: Final = "CNST"


@raises
def write_tables(into: Bytes, at: u64, processors: u32) -> None:
    """For as many vCPUs, as they are to stand at the page-aligned guest address `at`, the RSDP first. `into` is
    cleared. ENOSPC: it is too small.
    """
    assert processors <= MAX_VCPUS, "more processors than a domain can have"
    if not into.holds(0, TABLES_BYTES) or at >> 32 != 0:
        raise Errno.ENOSPC
    madt = write_madt(into.rest(MADT), processors)
    dsdt = (MADT + madt + 15) & ~u64(15)
    write_dsdt(into.rest(dsdt), processors)
    write_facs(into.part(FACS, FACS_BYTES))
    write_fadt(into.part(FADT, FADT_BYTES), truncate(u32, at + FACS), truncate(u32, at + dsdt))
    write_xsdt(into.part(XSDT, XSDT_BYTES), at)
    write_rsdp(into.part(RSDP, RSDP_BYTES), at + XSDT)


def write_rsdp(rsdp: Bytes, xsdt: u64) -> None:
    rsdp.put_text(0, "RSD PTR ")
    rsdp.put_text(9, OEM)
    rsdp.put_byte(15, 2)
    rsdp.put_le32(20, u32(RSDP_BYTES))
    rsdp.put_le64(24, xsdt)
    put_checksum(rsdp.part(0, RSDP_FIRST_BYTES), 8)
    put_checksum(rsdp, 32)


def write_xsdt(xsdt: Bytes, at: u64) -> None:
    xsdt.put_le64(36, at + FADT)
    xsdt.put_le64(44, at + MADT)
    finish(xsdt, "XSDT", 1)


def write_facs(facs: Bytes) -> None:
    """It has no checksum."""
    facs.put_text(0, "FACS")
    facs.put_le32(4, u32(FACS_BYTES))
    facs.put_byte(32, 2)


def write_fadt(fadt: Bytes, facs: u32, dsdt: u32) -> None:
    fadt.put_le32(36, facs)
    fadt.put_le32(40, dsdt)
    fadt.put_le16(46, SCI)
    fadt.put_le32(56, PM1A_EVENT)
    fadt.put_le32(64, PM1A_CONTROL)
    fadt.put_byte(88, 4)
    fadt.put_byte(89, 2)
    fadt.put_le16(96, NEVER)
    fadt.put_le16(98, NEVER)
    fadt.put_le16(109, NO_VGA | NO_CMOS_RTC)
    fadt.put_le32(112, FADT_FLAGS)
    fadt.put_le64(140, u64(dsdt))
    put_port(fadt.rest(148), PM1A_EVENT, 32)
    put_port(fadt.rest(172), PM1A_CONTROL, 16)
    finish(fadt, "FACP", 5)


@raises
def write_madt(into: Bytes, processors: u32) -> u64:
    """Its bytes. ENOSPC."""
    end = MADT_HEAD_BYTES
    for i in bounded(processors, MAX_VCPUS):
        end += put_processor(into.rest(end), i, apic_id(i))
    madt = into.part(0, end)
    madt.put_le32(36, LOCAL_APICS)
    finish(madt, "APIC", 3)
    return end


@raises
def put_processor(into: Bytes, uid: u32, apic: u32) -> u64:
    """The entry's bytes. ENOSPC."""
    if not into.holds(0, LOCAL_X2APIC_BYTES):
        raise Errno.ENOSPC
    if apic >= FIRST_WIDE_ID:
        into.put_byte(0, 9)
        into.put_byte(1, LOCAL_X2APIC_BYTES)
        into.put_le32(4, apic)
        into.put_le32(8, ENABLED)
        into.put_le32(12, uid)
        return LOCAL_X2APIC_BYTES
    into.put_byte(1, LOCAL_APIC_BYTES)
    into.put_byte(2, u8(uid))
    into.put_byte(3, u8(apic))
    into.put_le32(4, ENABLED)
    return LOCAL_APIC_BYTES


@raises
def write_dsdt(into: Bytes, processors: u32) -> None:
    """ENOSPC."""
    if not into.holds(0, HEADER_BYTES):
        raise Errno.ENOSPC
    aml = AmlWriter()
    aml.init(into.rest(HEADER_BYTES))
    with aml.scope("_SB_"):
        for i in bounded(processors, MAX_VCPUS):
            with aml.device("C", i):
                aml.text("_HID", "ACPI0007")
                aml.number("_UID", u8(i))
    finish(into.part(0, HEADER_BYTES + aml.finish()), "DSDT", 2)


def put_port(register: Bytes, port: u32, bits: u8) -> None:
    """A generic address structure (5.2.3.1)."""
    register.put_byte(0, PORT)
    register.put_byte(1, bits)
    register.put_byte(3, WORD_ACCESS)
    register.put_le64(4, u64(port))


def finish(table: Bytes, signature: str, revision: u8) -> None:
    """Its header, when the rest stands."""
    table.put_text(0, signature)
    table.put_le32(4, u32(table.length))
    table.put_byte(8, revision)
    table.put_text(10, OEM)
    table.put_text(16, OEM_TABLE)
    table.put_le32(24, 1)
    table.put_text(28, CREATOR)
    table.put_le32(32, 1)
    put_checksum(table, 9)


def put_checksum(table: Bytes, at: u64) -> None:
    """All bytes add up to 0."""
    table.put_byte(at, 0)
    sum: u8 = 0
    for i in bounded(table.length, TABLES_BYTES):
        sum += table.byte(i)
    table.put_byte(at, 0 - sum)
