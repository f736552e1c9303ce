"""What the tests of firmware's tables work on: functions that tell all that a reader finds, as text."""

from hv.common.drivers.acpi import Acpi, find_rsdp
from hv.common.drivers.acpi_fadt import Fadt, Register
from hv.common.drivers.acpi_madt import Madt
from hv.common.drivers.acpi_sleep import sleep_type
from hv.common.drivers.acpi_tables import Mcfg, Srat, read_hpet, read_spcr
from hv.common.lib.span import Bytes
from hv.common.lib.text import TextBuffer
from hv.lang import Embedded, Errno, Final, raises, u8, u64
from hv.sim.physical import physical


class Firmware:
    text: TextBuffer[65536]
    acpi: Embedded[Acpi]
    madt: Embedded[Madt]
    fadt: Embedded[Fadt]
    srat: Embedded[Srat]


firmware: Final = Firmware()


@raises
def start_acpi() -> None:
    """From the root pointer in the simulated physical memory."""
    firmware.acpi.init(physical, find_rsdp(physical))


@raises
def start_acpi_from(rsdp: Bytes) -> None:
    firmware.acpi.init(physical, rsdp)


@raises
def find_table(signature: str) -> u64:
    """Its length."""
    return firmware.acpi.find(signature).length


def tables_text(signature: str) -> str:
    """Length and last byte of each table of a signature."""
    firmware.text.clear()
    for table in firmware.acpi.tables(signature):
        firmware.text.write(f"{table.length} {table.byte(table.length - 1)}\n")
    return firmware.text.text


@raises
def madt_text(table: Bytes) -> str:
    text = firmware.text
    text.clear()
    found = firmware.madt
    found.init(table)
    text.write(f"apic {found.apic_address:#x} {found.has_8259}\n")
    for apic in found.local_apics():
        text.write(f"cpu {apic.apic_id} {apic.uid} {apic.enabled} {apic.online_capable}\n")
    for io_apic in found.io_apics():
        text.write(f"ioapic {io_apic.id} {io_apic.address:#x} {io_apic.first}\n")
    for i in range(16):
        line = found.isa_line(u8(i))
        text.write(f"isa {i} {line.gsi} {line.active_low} {line.level}\n")
    for line in found.nmi_sources():
        text.write(f"nmi {line.gsi} {line.active_low} {line.level}\n")
    for nmi in found.local_nmis():
        text.write(f"lint {nmi.uid} {nmi.lint} {nmi.active_low} {nmi.level}\n")
    return text.text


def _register(name: str, register: Register) -> None:
    firmware.text.write(f"{name} {register.space.name} {register.bits} {register.access} {register.address:#x}\n")


@raises
def fadt_text(table: Bytes) -> str:
    text = firmware.text
    text.clear()
    found = firmware.fadt
    found.init(table)
    text.write(f"flags {found.flags:#x} {found.boot_flags:#x} sci {found.sci}\n")
    text.write(f"smi {found.smi_command:#x} {found.acpi_enable} century {found.century}\n")
    text.write(f"dsdt {found.dsdt:#x} timer bits {found.pm_timer_bits} reset {found.reset_value}\n")
    _register("timer", found.pm_timer)
    _register("pm1a", found.pm1a_control)
    _register("pm1b", found.pm1b_control)
    _register("sleep", found.sleep_control)
    _register("reset", found.reset)
    return text.text


@raises
def hpet_text(table: Bytes) -> str:
    firmware.text.clear()
    found = read_hpet(table)
    firmware.text.write(f"{found.block:#x}\n")
    _register("hpet", found.base)
    return firmware.text.text


def mcfg_text(table: Bytes) -> str:
    firmware.text.clear()
    for space in Mcfg(table):
        firmware.text.write(f"{space.base:#x} {space.segment} {space.first_bus} {space.last_bus}\n")
    return firmware.text.text


@raises
def spcr_text(table: Bytes) -> str:
    text = firmware.text
    text.clear()
    found = read_spcr(table)
    text.write(f"kind {found.kind} {found.is_16550} {found.is_pl011} gsi {found.has_gsi} {found.gsi}\n")
    text.write(f"irq {found.has_irq} {found.irq} speed {found.speed} clock {found.clock}\n")
    place = found.place
    text.write(f"pci {found.is_pci} {place.segment} {place.bus} {place.device} {place.function}\n")
    _register("base", found.base)
    return text.text


@raises
def srat_text(table: Bytes) -> str:
    text = firmware.text
    text.clear()
    found = firmware.srat
    found.init(table)
    for cpu in found.cpus():
        text.write(f"cpu {cpu.apic_id} {cpu.domain}\n")
    for memory in found.memory():
        text.write(f"memory {memory.start:#x} {memory.bytes:#x} {memory.domain} {memory.hot_pluggable}\n")
    return text.text


def sleep_text(table: Bytes) -> str:
    firmware.text.clear()
    try:
        found = sleep_type(table, "_S5_")
        firmware.text.write(f"{found.a} {found.b}")
    except Errno as e:
        firmware.text.write(f"{e.name}")
    return firmware.text.text
