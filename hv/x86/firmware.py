"""What ACPI says of this machine, and what comes of it: interrupts, clocks, power."""

from hv.common.drivers.acpi import acpi, find_rsdp
from hv.common.drivers.acpi_fadt import Register, Space, fadt
from hv.common.drivers.acpi_madt import madt
from hv.common.drivers.acpi_sleep import sleep_type
from hv.common.kernel.log import debug, warning
from hv.common.mm.types import Paddr
from hv.common.mm.windows import windows
from hv.lang import Errno, Final, raises, u16, u64
from hv.x86.boot_information import BootInformation
from hv.x86.mmu import firmware as memory
from hv.x86.power import ways


class Found:
    """Which tables there are, and sound."""

    tables: bool  # any at all
    madt: bool
    fadt: bool


found: Final = Found()


def find_tables(information: BootInformation) -> None:
    """A machine without ACPI has its one CPU, and the devices that every PC has."""
    try:
        acpi.init(memory, information.rsdp if information.rsdp.length != 0 else find_rsdp(memory))
        found.tables = True
    except Errno as e:
        warning(f"there are no ACPI tables that can be used: {e.name}")


def read_acpi() -> None:
    """Behind `find_tables`."""
    if not found.tables:
        return
    found.madt = read_madt()
    found.fadt = read_fadt()
    if found.fadt:
        learn_reset()
        learn_power_off()


def read_madt() -> bool:
    try:
        madt.init(acpi.find("APIC"))
    except Errno as e:
        warning(f"ACPI's table of interrupt controllers (MADT) cannot be used: {e.name}")
        return False
    return True


def read_fadt() -> bool:
    try:
        fadt.init(acpi.find("FACP"))
    except Errno as e:
        warning(f"ACPI's fixed description of the machine (FADT) cannot be used: {e.name}")
        return False
    return True


def learn_reset() -> None:
    """A register in PCI configuration space, which ACPI allows as well, is left alone: the chipset's port does."""
    if not fadt.reset.exists:
        return
    ways.reset_value = fadt.reset_value
    if fadt.reset.space == Space.PORT and fadt.reset.address <= 0xFFFF:
        ways.reset_port = u16(fadt.reset.address)
    elif fadt.reset.space == Space.MEMORY:
        try:
            ways.reset_address = windows.map(Paddr(fadt.reset.address), 1)
        except Errno:
            debug("ACPI's reset register cannot be mapped")


def learn_power_off() -> None:
    try:
        types = sleep_type(acpi.table_at(fadt.dsdt, "DSDT"), "_S5_")
        ways.control_a = port_of(fadt.pm1a_control)
        ways.control_b = port_of(fadt.pm1b_control) if fadt.pm1b_control.exists else 0
        ways.type_a = types.a
        ways.type_b = types.b
    except Errno:
        debug("ACPI does not say how this machine is turned off")
        return
    if fadt.smi_command <= 0xFFFF:
        ways.smi_command = u16(fadt.smi_command)
        ways.acpi_enable = fadt.acpi_enable


@raises
def port_of(register: Register) -> u16:
    """ENODEV: it is none."""
    if register.space != Space.PORT or not register.exists or register.address > 0xFFFF:
        raise Errno.ENODEV
    return u16(u64(register.address))
