"""Which UART the console is on: the one that ACPI's SPCR names, or the first serial port of a PC; and its interrupt.

The first port is tried at once, since what ACPI says is known only later.
"""

from hv.common.drivers.acpi import acpi
from hv.common.drivers.acpi_fadt import Space
from hv.common.drivers.acpi_madt import Line, madt
from hv.common.drivers.acpi_tables import SerialConsole, read_spcr
from hv.common.drivers.ns16550 import port as uart
from hv.common.kernel.log import warning
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, raises, u8, u16, u32
from hv.x86.firmware import found
from hv.x86.interrupts import interrupts
from hv.x86.ipi import CpuPlace
from hv.x86.mmu import map_device

COM1: Final[u16] = 0x3F8
COM1_IRQ: Final[u8] = 4
REGISTERS: Final = 8


class Port:
    running: bool
    line: Line


console_port: Final = Port()


def start_first_port() -> None:
    console_port.running = uart.start_ports(COM1)


def look_for_console() -> None:
    """Moves to the UART of the SPCR when it is another."""
    console_port.line = madt.isa_line(COM1_IRQ) if found.madt else Line(u32(COM1_IRQ), False, False)
    try:
        named = read_spcr(acpi.find("SPCR"))
    except Errno:
        return
    if not named.is_16550 or named.is_pci:
        return
    try:
        move_to(named)
    except Errno as e:
        warning(f"the console that ACPI names cannot be used: {e.name}")


@raises
def move_to(named: SerialConsole) -> None:
    """ENODEV: it is where no UART can be reached. ENOMEM."""
    if named.base.space == Space.PORT and named.base.address <= 0xFFFF:
        if u16(named.base.address) != COM1 or not console_port.running:
            console_port.running = uart.start_ports(u16(named.base.address))
    elif named.base.space == Space.MEMORY:
        uart.stride = 2 if named.base.access == 3 or named.base.bits == 32 else 0
        uart.start(map_device(Paddr(named.base.address), REGISTERS << uart.stride))
        console_port.running = True
    else:
        raise Errno.ENODEV
    if named.has_gsi:
        console_port.line = Line(named.gsi, False, False)
    elif named.has_irq and found.madt:
        console_port.line = madt.isa_line(named.irq)


def start_input() -> None:
    """Lets the console be typed on."""
    if not console_port.running:
        return
    try:
        interrupts.claim(console_port.line, CpuPlace.on(0).apic_id, typed)
        uart.enable_input()
    except Errno as e:
        warning(f"the console takes no input: {e.name}")


def typed(gsi: u32) -> None:
    uart.interrupt()
