"""From the entry stub to a machine that is up: what is done once, in order.

boot/x86/entry.S calls `boot` on the boot CPU with the boot tables, then `initialise` on its final stack; every other
CPU comes to `boot_secondary`.
"""

from hv.arch import halt
from hv.common.drivers.acpi_madt import madt
from hv.common.drivers.acpi_nodes import read_nodes
from hv.common.drivers.console_choice import choice
from hv.common.kernel.cmdline import read_command_line
from hv.common.kernel.cpus import mark_online
from hv.common.kernel.log import info, warning
from hv.common.kernel.panic import panic
from hv.common.mm.heap import heap
from hv.common.mm.node_report import report_nodes
from hv.common.mm.types import PAGE_SIZE, Paddr
from hv.common.mm.windows import windows
from hv.common.sched.core import idle, start_scheduler
from hv.config import (
    CONFIG_CMOS_CLOCK,
    CONFIG_CRASH,
    CONFIG_DEBUG_KEYS,
    CONFIG_FRAMEBUFFER,
    CONFIG_HVM,
    CONFIG_NS16550,
    CONFIG_PCI,
    CONFIG_SCHED_FAIR,
    CONFIG_SELFTEST,
    CONFIG_TRACE,
    CONFIG_WATCHDOG,
)
from hv.lang import Errno, Final, attach_percpu, export, raises, u32, u64
from hv.x86 import exceptions, interrupts, lapic, mmu, nmi, pic, smp, timer, tlb  # noqa: F401 (assembly needs some)
from hv.x86.boot_information import information
from hv.x86.control import set_up_cpu
from hv.x86.cpu import ThisCpu
from hv.x86.cpuid import find_features
from hv.x86.cpustart import start_this_cpu
from hv.x86.descriptors import idt, load_descriptors
from hv.x86.firmware import find_tables, found, read_acpi
from hv.x86.ioapic import io_apics
from hv.x86.layout import DIRECT_MAP, DIRECT_MAP_END, loaded, stack_top
from hv.x86.memory import start_memory
from hv.x86.mtrr import read_mtrrs
from hv.x86.multiboot2 import HEAD, read_multiboot2, total_size
from hv.x86.pvh import read_pvh
from hv.x86.speculation import find_controls
from hv.x86.time_source import carry_time_on, start_clock
from hv.x86.tsc_sync import check_this_cpu
from hv.x86.xsave import find_extended_state

if CONFIG_CMOS_CLOCK:
    from hv.x86.date import read_date
if CONFIG_CRASH:
    from hv.common.kernel.crash import crash_if_asked
if CONFIG_DEBUG_KEYS:
    from hv.common.builder import debug_keys  # noqa: F401 (registers keys)
    from hv.x86 import interrupt_dump  # noqa: F401 (registers a key)
if CONFIG_FRAMEBUFFER:
    from hv.x86.screen import start_screen
if CONFIG_HVM:
    from hv.common.builder.lifecycle import build_domains
    from hv.x86.descriptions import read_descriptions
    from hv.x86.guests import start_guests, work_round_emulator
else:
    from hv.x86.no_guests import refuse_descriptions
if CONFIG_NS16550:
    from hv.x86.console import look_for_console, prepare_serial_ports, start_input, start_serial_ports
if CONFIG_PCI:
    from hv.common.drivers.pci import configuration
    from hv.x86.pci import find_configuration_space
if CONFIG_SELFTEST:
    from hv.common.selftest.suite import run_selftests
    from hv.x86 import selftest_nmi  # noqa: F401 (adds itself to `selftests`)
if CONFIG_TRACE:
    from hv.common.mm.trace_control import start_tracing
if CONFIG_WATCHDOG:
    from hv.common.kernel.watchdog import start_watchdog
if CONFIG_SCHED_FAIR:
    from hv.common.sched import fair_share  # noqa: F401 (adds itself to `schedulers`)

VERSION: Final = "0.1"
BY_MULTIBOOT2: Final[u32] = 1  # boot/x86/layout.h


class Boot:
    """What the boot loader left."""

    info: Paddr
    by: u32


machine: Final = Boot()


@export
def attach_cpu(cpu: u32) -> None:
    """The first Python on each CPU."""
    attach_percpu(cpu)


@export
def boot(info: u64, image: u64, by: u32) -> u64:
    """Makes the address space. Returns the top of this CPU's stack in it."""
    machine.info = Paddr(info)
    machine.by = by
    find_features()
    set_up_cpu()
    idt.fill()
    load_descriptors(0)
    try:
        mmu.build(Paddr(image))
    except Errno:
        halt()
    return stack_top(0)


@export
def initialise() -> None:
    if CONFIG_PCI:
        configuration.has_ports = True
    if CONFIG_NS16550:
        prepare_serial_ports(windows)
    loader = "Multiboot2" if machine.by == BY_MULTIBOOT2 else "PVH"
    info(f"Constrictor {VERSION} on x86-64, image at {loaded.paddr:#x}, {loader} information at {machine.info:#x}")
    try:
        read_boot_information()
    except Errno as e:
        panic(f"what the boot loader left cannot be read: {e.name}")
    read_command_line(information.command_line)
    start_console()
    find_tables(information)
    read_nodes()
    start_heap()
    read_acpi()
    if CONFIG_PCI:
        find_configuration_space()
    if CONFIG_NS16550:
        look_for_console()
    start_interrupts()
    start_clock(found.fadt, windows)
    timer.start_cpu()
    if CONFIG_CMOS_CLOCK:
        read_date()
    look_at_cpu()
    if CONFIG_NS16550:
        start_input(found.madt)
    if CONFIG_HVM:
        start_guests()
    start_this_cpu()
    start_scheduler()
    carry_time_on()
    tlb.take_part()
    mark_online()
    start_cpus()
    if CONFIG_HVM:
        work_round_emulator(found.madt)
    if CONFIG_TRACE:
        start_tracing()
    if CONFIG_WATCHDOG:
        start_watchdog()
    if CONFIG_CRASH:
        crash_if_asked(DIRECT_MAP - 8)
    if CONFIG_SELFTEST:
        run_selftests()
    if CONFIG_HVM:
        read_descriptions(information, smp.cpus.count)
        build_domains()
    else:
        refuse_descriptions(information)
    idle()


@export
def boot_secondary(cpu: u32) -> None:
    ThisCpu.this().id = cpu
    set_up_cpu()
    load_descriptors(cpu)
    lapic.start_cpu()
    timer.start_cpu()
    check_this_cpu()
    start_this_cpu()
    tlb.take_part()
    mark_online()
    idle()


def start_console() -> None:
    """What was printed before comes from the log."""
    if CONFIG_FRAMEBUFFER and choice.uses_screen:
        start_screen(information.screen)
    if CONFIG_NS16550:
        start_serial_ports()


@raises
def read_boot_information() -> None:
    information.init(DIRECT_MAP_END - DIRECT_MAP)
    if machine.by == BY_MULTIBOOT2:
        size = total_size(mmu.firmware.view(machine.info, HEAD))
        read_multiboot2(mmu.firmware.view(machine.info, size), information)
    else:
        read_pvh(mmu.firmware, machine.info, information)


def start_heap() -> None:
    try:
        start_memory(information)
    except Errno as e:
        panic(f"the memory that the boot loader describes cannot be used: {e.name}")
    info(f"{heap.free_frames * PAGE_SIZE >> 20} MiB of memory are free")


def start_interrupts() -> None:
    pic.silence()
    if not lapic.choose_x2apic():
        try:
            lapic.choose_xapic(windows.map(Paddr(lapic.xapic_frame() * PAGE_SIZE), PAGE_SIZE))
        except Errno as e:
            panic(f"the local APIC's registers cannot be mapped: {e.name}")
    lapic.start_cpu()
    info(f"the local APICs are {'x2APICs' if lapic.machine.has_x2apic else 'xAPICs, reached by memory'}")
    smp.name_boot_cpu()
    if found.madt:
        for apic in madt.io_apics():
            try:
                io_apics.add(apic.address, apic.first, windows)
            except Errno as e:
                warning(f"the I/O APIC at {apic.address:#x} cannot be used: {e.name}")


def look_at_cpu() -> None:
    """What guests will have of it, and be kept from."""
    read_mtrrs()
    find_extended_state()
    find_controls()


def start_cpus() -> None:
    if found.madt:
        smp.number_cpus(madt)
    else:
        warning("only the boot CPU runs: no table names the others")
    smp.start_other_cpus()
    report_nodes()
