"""Turning the machine off and restarting it: as ACPI describes it, else by what PCs have for it."""

from hv.lang import Final, Never, address_of, u8, u16, u64, unbounded
from hv.x86.cpu import breakpoint, in8, in16, load_idt, out8, out16, relax, write_device8
from hv.x86.descriptors import Pointer
from hv.x86.stubs import stop_cpu

RESET_CONTROL: Final[u16] = 0xCF9  # of the chipset
HARD_RESET: Final[u8] = 1 << 1
RESET_NOW: Final[u8] = 1 << 2
KEYBOARD_COMMAND: Final[u16] = 0x64
KEYBOARD_FULL: Final[u8] = 1 << 1
PULSE_RESET: Final[u8] = 0xFE
TRIES: Final = 100_000

# PM1 control (ACPI Specification 6.5, 4.8.3.2.1)
SCI_ENABLED: Final[u16] = 1 << 0
SLEEP_TYPE_SHIFT: Final = 10
SLEEP_TYPE: Final[u16] = 7 << 10
SLEEP_NOW: Final[u16] = 1 << 13


class Ways:
    """What is known of the machine by ACPI; a port 0 is none."""

    reset_port: u16
    reset_address: u64  # where the register is mapped; 0: none
    reset_value: u8
    control_a: u16
    control_b: u16
    type_a: u8
    type_b: u8
    smi_command: u16
    acpi_enable: u8


ways: Final = Ways()


@unbounded("the machine restarts")
def restart() -> Never:
    if ways.reset_port != 0:
        out8(ways.reset_port, ways.reset_value)
        pause()
    elif ways.reset_address != 0:
        write_device8(ways.reset_address, ways.reset_value)
        pause()
    out8(RESET_CONTROL, HARD_RESET)
    out8(RESET_CONTROL, HARD_RESET | RESET_NOW)
    pause()
    for _ in range(TRIES):
        if in8(KEYBOARD_COMMAND) & KEYBOARD_FULL == 0:
            break
    out8(KEYBOARD_COMMAND, PULSE_RESET)
    pause()
    nothing = Pointer()
    load_idt(address_of(nothing))
    breakpoint()  # finds no way to be told, three times over
    while True:
        stop_cpu()


@unbounded("a machine that does not turn off stops")
def power_off() -> Never:
    if ways.control_a != 0:
        enter_acpi_mode()
        sleep(ways.control_a, ways.type_a)
        if ways.control_b != 0:
            sleep(ways.control_b, ways.type_b)
        pause()
    while True:
        stop_cpu()


def enter_acpi_mode() -> None:
    """Firmware may still look after sleeping itself (4.8.2.5)."""
    if ways.smi_command == 0 or in16(ways.control_a) & SCI_ENABLED != 0:
        return
    out8(ways.smi_command, ways.acpi_enable)
    for _ in range(TRIES):
        if in16(ways.control_a) & SCI_ENABLED != 0:
            return
        relax()


def sleep(control: u16, type: u8) -> None:
    kept = in16(control) & ~(SLEEP_TYPE | SLEEP_NOW)
    out16(control, kept | u16(type) << SLEEP_TYPE_SHIFT)
    out16(control, kept | u16(type) << SLEEP_TYPE_SHIFT | SLEEP_NOW)


def pause() -> None:
    """The machine may need a moment."""
    for _ in range(TRIES):
        relax()
