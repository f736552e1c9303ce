"""The console's devices on a PC: two serial ports and the screen, as `console=`, `com1=` and `com2=` have it.

Without `com1=` the first port is where ACPI's SPCR says; else where PCs have it, with the speed that firmware has set.
"""

from hv.common.drivers.acpi import acpi
from hv.common.drivers.acpi_tables import read_spcr
from hv.common.drivers.console_choice import COMS, choice
from hv.common.drivers.ns16550 import port, second_port
from hv.common.drivers.serial_options import POLLED
from hv.common.kernel.console import console
from hv.common.kernel.log import warning
from hv.common.kernel.options import options
from hv.common.mm.physical import RegisterWindows
from hv.lang import Errno, Final, array, u32
from hv.x86.com import PORTS, Com

coms: Final[array[Com, COMS]] = array()


def prepare_serial_ports(windows: RegisterWindows) -> None:
    """Before the command line is read. `windows`: for registers in memory."""
    coms[0].init(0, port, windows)
    coms[1].init(1, second_port, windows)
    console.rescue = start_first_port


def start_first_port() -> None:
    """For a panic before the command line was read: where PCs have it, as the firmware has set it."""
    port.at_ports(PORTS[0])
    if port.answers:
        port.take_over()


def start_serial_ports() -> None:
    """Behind the command line."""
    for i, com in enumerate(coms):
        if choice.uses_com(i):
            com.start()
    console.rescue = None


def look_for_console() -> None:
    """Moves the first port to the UART of the SPCR, unless the command line says where it is."""
    if not choice.uses_com(0) or coms[0].options.given:
        return
    try:
        named = read_spcr(acpi.find("SPCR"))
    except Errno as e:
        if e is Errno.EINVAL:
            warning("ACPI's table of the serial console (SPCR) is damaged: the console stays where it is")
        return
    if not named.is_16550:
        warning(
            f"ACPI's SPCR names a console of interface type {named.kind:#x}, which there is no driver for: it stays"
            " where it is"
        )
        return
    try:
        coms[0].move_to(named)
    except Errno as e:
        warning(
            f"ACPI's SPCR names a console at {named.base.address:#x} ({named.base.space.name}), which cannot be used:"
            f" {e.name}; it stays where it is"
        )


def start_input(has_madt: bool) -> None:
    """`has_madt`: the MADT has been read."""
    for com in coms:
        com.start_input(has_madt, typed)


def typed(gsi: u32) -> None:
    """Either port may have it."""
    for com in coms:
        if com.running and com.irq != POLLED:
            com.uart.interrupt()


@options.entry(name="com1")
def com1(text: str) -> bool:
    read_options(coms[0], text)
    return True


@options.entry(name="com2")
def com2(text: str) -> bool:
    read_options(coms[1], text)
    return True


def read_options(com: Com, text: str) -> None:
    asked = com.options
    asked.init()
    try:
        asked.read(text)
    except Errno:
        warning(f'{com.name}={text}: expected {asked.expected}, not "{asked.wrong}"; {com.name} stays as it was')
        asked.init()
