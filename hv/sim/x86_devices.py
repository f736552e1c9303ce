"""A PC whose devices tests play: what an x86 CPU reads and writes at addresses and ports goes to the simulated
machine; its timestamp counter, its model-specific registers and what CPUID says are the test's.
"""

from hv.common.drivers.acpi import acpi
from hv.common.drivers.acpi_fadt import fadt
from hv.common.drivers.acpi_tables import read_hpet
from hv.common.lib.span import Bytes
from hv.common.mm.types import Paddr
from hv.lang import Callable, Errno, Final, array, export, raises, truncate, u8, u16, u32, u64
from hv.sim import machine
from hv.sim.controller import identity_windows
from hv.sim.physical import physical
from hv.x86 import timer
from hv.x86.console import look_for_console, prepare_serial_ports, start_serial_ports
from hv.x86.hpet import hpet
from hv.x86.ioapic import io_apics
from hv.x86.pit import pit
from hv.x86.pm_timer import pm_timer
from hv.x86.reference import ReferenceClock
from hv.x86.time_source import start_clock

LEAVES: Final = 8


class Answer:
    """Of CPUID; what no answer is for reads as zeros."""

    leaf: u32
    eax: u32
    ebx: u32
    ecx: u32
    edx: u32


class PlayedCpu:
    timestamp: Callable[[], u64] | None  # without: it stands at 0
    msr_written: Callable[[u32, u64], None] | None
    msr_read: Callable[[u32], u64] | None  # without: there is none
    answers: array[Answer, LEAVES]


cpu: Final = PlayedCpu()


@export
def played_x86_cpu_timestamp() -> u64:
    read = cpu.timestamp
    return 0 if read is None else read()


@export
def played_x86_cpu_write_msr(register: u32, value: u64) -> None:
    written = cpu.msr_written
    if written is not None:
        written(register, value)


@export
def read_msr_or(register: u32, otherwise: u64) -> u64:
    read = cpu.msr_read
    return otherwise if read is None else read(register)


@export
def played_x86_cpuid_cpuid(leaf: u32, subleaf: u32) -> tuple[u32, u32, u32, u32]:
    for answer in cpu.answers:
        if answer.leaf == leaf:
            return answer.eax, answer.ebx, answer.ecx, answer.edx
    return 0, 0, 0, 0


@export
def played_x86_cpu_scaled(a: u64, b: u64) -> u64:
    """By halves: the sum of what comes to bits 95:32 of the product."""
    low = a & 0xFFFF_FFFF
    high = a >> 32
    return (low * (b & 0xFFFF_FFFF) >> 32) + low * (b >> 32) + high * (b & 0xFFFF_FFFF) + (high * (b >> 32) << 32)


@export
def played_x86_cpu_read_device32(address: u64) -> u32:
    return machine.read_register(address)


@export
def played_x86_cpu_read_device64(address: u64) -> u64:
    return u64(machine.read_register(address)) | u64(machine.read_register(address + 4)) << 32


@export
def played_x86_cpu_write_device32(address: u64, value: u32) -> None:
    machine.write_register(address, value)


@export
def played_x86_cpu_in8(port: u16) -> u8:
    return truncate(u8, machine.read_port(port, 1))


@export
def played_x86_cpu_in32(port: u16) -> u32:
    return machine.read_port(port, 4)


@export
def played_x86_cpu_out8(port: u16, value: u8) -> None:
    machine.write_port(port, 1, u32(value))


@raises
def start_hpet(table: Bytes) -> ReferenceClock:
    hpet.init(read_hpet(table), identity_windows)
    return hpet


@raises
def start_pm_timer(table: Bytes) -> ReferenceClock:
    fadt.init(table)
    pm_timer.init(fadt, identity_windows)
    return pm_timer


def start_pit() -> ReferenceClock:
    pit.start()
    return pit


def leave_clock(clock: ReferenceClock) -> None:
    clock.leave(identity_windows)


def use_clock(clock: ReferenceClock) -> None:
    """As the machine's, with a TSC that does not count; the local APIC's timer has 1 GHz."""
    timer.start_clock(timer.SECOND, timer.SECOND, False)
    timer.use_reference(clock)


@raises
def add_io_apic(address: u64, first: u32) -> None:
    io_apics.add(Paddr(address), first, identity_windows)


def prepare_console() -> None:
    """As a boot does before it reads the command line."""
    prepare_serial_ports(identity_windows)


def find_console(rsdp: Bytes) -> None:
    """As a boot does behind the command line, by the tables in the simulated physical memory."""
    start_serial_ports()
    find_tables(rsdp)
    look_for_console()


def find_tables(rsdp: Bytes) -> None:
    """The machine's, in the simulated physical memory."""
    try:
        acpi.init(physical, rsdp)
    except Errno:
        acpi.entry = 0


@raises
def start_time(rsdp: Bytes, fadt_table: Bytes) -> None:
    """As a boot does, by the tables in the simulated physical memory. No bytes: there is no such table."""
    find_tables(rsdp)
    if fadt_table.length != 0:
        fadt.init(fadt_table)
    start_clock(fadt_table.length != 0, identity_windows)
