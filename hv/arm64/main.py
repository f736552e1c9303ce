"""From the entry stub to running guests: what is done once, in order.

boot/arm64/entry.S calls `boot` on the boot CPU with the boot tables, then `initialise` on its final stack; every other
CPU comes to `boot_secondary`.
"""

from hv.arch import halt
from hv.arm64 import context, errata, exceptions, mmu, psci, smp, timer  # noqa: F401 (assembly, registries)
from hv.arm64.controller import Trigger, gic
from hv.arm64.cpu import ThisCpu, serrors_on
from hv.arm64.cpustart import start_this_cpu
from hv.arm64.guests import start_guests
from hv.arm64.interrupts import interrupt_of, interrupts
from hv.arm64.ipi import KICK, URGENT
from hv.arm64.layout import DIRECT_MAP, loaded, stack_top
from hv.arm64.memory import start_memory
from hv.arm64.platform import find_firmware, take_controller
from hv.arm64.timer_node import timer_node
from hv.common.builder.lifecycle import build_domains
from hv.common.drivers.devicetree import boot_arguments, console_node, tree
from hv.common.drivers.uart import Uart, uart_of
from hv.common.kernel.cmdline import read_command_line
from hv.common.kernel.cpus import mark_online, stop_if_asked
from hv.common.kernel.crosscall import ipi_received
from hv.common.kernel.log import debug, info, warning
from hv.common.kernel.panic import panic
from hv.common.kernel.timer import alarm_rang
from hv.common.mm.heap import heap
from hv.common.mm.node_report import report_nodes
from hv.common.mm.types import PAGE_SIZE, Paddr
from hv.common.mm.windows import windows
from hv.common.sched.core import idle, start_scheduler
from hv.config import (
    CONFIG_BRANCH_GUARD,
    CONFIG_CADENCE_UART,
    CONFIG_CRASH,
    CONFIG_DEBUG_KEYS,
    CONFIG_GICV2,
    CONFIG_GICV3,
    CONFIG_LLC_COLORING,
    CONFIG_PL011,
    CONFIG_PL031,
    CONFIG_SCHED_FAIR,
    CONFIG_SCIF,
    CONFIG_SELFTEST,
    CONFIG_SMMUV3,
    CONFIG_TRACE,
    CONFIG_WATCHDOG,
)
from hv.lang import Errno, Final, attach_percpu, export, u32, u64

if CONFIG_BRANCH_GUARD:
    from hv.arm64 import exit_guard  # noqa: F401 (adds itself to `cpu_starts`)
if CONFIG_CADENCE_UART:
    from hv.common.drivers import cadence_uart  # noqa: F401 (adds itself to `uart_drivers`)
if CONFIG_CRASH:
    from hv.common.kernel.crash import crash_if_asked
if CONFIG_DEBUG_KEYS:
    from hv.arm64 import interrupt_dump  # noqa: F401 (registers a key)
    from hv.common.builder import debug_keys  # noqa: F401 (registers keys)
if CONFIG_GICV2:
    from hv.arm64 import gicv2  # noqa: F401 (adds itself to `controllers`)
if CONFIG_GICV3:
    from hv.arm64 import gicv3  # noqa: F401 (adds itself to `controllers`)
if CONFIG_PL011:
    from hv.common.drivers import pl011  # noqa: F401 (adds itself to `uart_drivers`)
if CONFIG_SCIF:
    from hv.common.drivers import scif  # noqa: F401 (adds itself to `uart_drivers`)
if CONFIG_SELFTEST:
    from hv.common.selftest.suite import run_selftests

    if CONFIG_LLC_COLORING:
        from hv.common.builder import color_test  # noqa: F401 (registers a self-test)
if CONFIG_SMMUV3:
    from hv.arm64.smmuv3 import start_iommus
if CONFIG_PL031:
    from hv.arm64.date import read_date
if CONFIG_TRACE:
    from hv.common.mm.trace_control import start_tracing
if CONFIG_WATCHDOG:
    from hv.common.kernel.watchdog import confess, is_suspected, start_watchdog
if CONFIG_SCHED_FAIR:
    from hv.common.sched import fair_share  # noqa: F401 (adds itself to `schedulers`)

VERSION: Final = "0.1"


class Boot:
    """What the boot loader left, and what was found by it."""

    tree: Paddr
    tree_bytes: u64
    uart: Uart | None  # that the console is on


machine: Final = Boot()


@export
def attach_cpu(cpu: u32) -> None:
    """The first Python on each CPU."""
    attach_percpu(cpu)


@export
def boot(tree_paddr: u64, image: u64) -> u64:
    """Makes the address space. Returns the top of this CPU's stack in it."""
    machine.tree = Paddr(tree_paddr)
    try:
        mmu.build(Paddr(image))
    except Errno:
        halt()
    return stack_top(0)


@export
def initialise() -> None:
    timer.start_clock(0)
    read_tree()
    start_console()
    info(f"Constrictor {VERSION} on arm64, image at {loaded.paddr:#x}, device tree at {machine.tree:#x}")
    serrors_on()
    find_firmware()
    read_options()
    start_heap()
    start_interrupts()
    start_timer()
    if CONFIG_PL031:
        read_date()
    start_input()
    start_virtualisation()
    start_this_cpu()
    start_scheduler()
    mark_online()
    if CONFIG_SMMUV3:
        start_iommus()
    start_cpus()
    if CONFIG_TRACE:
        start_tracing()
    if CONFIG_WATCHDOG:
        start_watchdog()
    if CONFIG_CRASH:
        crash_if_asked(DIRECT_MAP - 8)
    if CONFIG_SELFTEST:
        run_selftests()
    build_domains()
    idle()


@export
def boot_secondary(cpu: u32) -> None:
    ThisCpu.this().id = cpu
    serrors_on()
    interrupts.start_cpu()
    start_this_cpu()
    mark_online()
    idle()


@export
def hypervisor_irq() -> None:
    """An interrupt at a place of the hypervisor's that lets them in."""
    interrupts.take()


def read_tree() -> None:
    """Checks the device tree. Nothing can be said when it cannot be read: no console is known then."""
    try:
        blob = mmu.map_tree(machine.tree)
        machine.tree_bytes = blob.length
        tree.init(blob)
    except Errno:
        halt()


def start_console() -> None:
    """Prints on the UART that /chosen names. Without one, or a driver for it, the log only fills its backlog."""
    try:
        node = console_node()
        uart = uart_of(node)
        if uart is None:
            return
        registers = node.reg(0)
        uart.start(windows.map(Paddr(registers.start), max(registers.size, PAGE_SIZE)))
        machine.uart = uart
    except Errno:
        return


def read_options() -> None:
    try:
        read_command_line(boot_arguments())
    except Errno as e:
        warning(f"/chosen: the command line cannot be read: {e.name}")


def start_heap() -> None:
    try:
        start_memory(machine.tree, machine.tree_bytes)
    except Errno as e:
        panic(f"the memory that the device tree describes cannot be used: {e.name}")
    info(f"{heap.free_frames * PAGE_SIZE >> 20} MiB of memory are free")


def start_interrupts() -> None:
    """The interrupt controller, and the interrupts by which other CPUs kick this one."""
    try:
        gic.driver = take_controller()
        gic.driver.start_cpu()
        interrupts.claim(KICK, Trigger.EDGE, kicked)
        interrupts.claim(URGENT, Trigger.EDGE, urged)
    except Errno as e:
        panic(f"no interrupt controller that the device tree describes can be used: {e.name}")


def kicked(intid: u32) -> None:
    ipi_received()


def urged(intid: u32) -> None:
    stop_if_asked()
    if CONFIG_WATCHDOG and is_suspected():
        confess()


def start_timer() -> None:
    timer_node.init()
    timer.start_clock(timer_node.frequency)
    try:
        interrupts.claim(timer_node.hypervisor, Trigger.LEVEL, alarm)
    except Errno as e:
        panic(f"the hypervisor timer's interrupt {timer_node.hypervisor} cannot be used: {e.name}")


def alarm(intid: u32) -> None:
    alarm_rang()


def start_input() -> None:
    """Lets the console be typed on."""
    uart = machine.uart
    if uart is None:
        return
    try:
        spec = interrupt_of(console_node(), 0)
        interrupts.claim(spec.intid, spec.trigger, typed)
        uart.enable_input()
    except Errno as e:
        warning(f"the console takes no input: {e.name}")


def typed(intid: u32) -> None:
    uart = machine.uart
    if uart is not None:
        uart.interrupt()


def start_virtualisation() -> None:
    try:
        start_guests()
    except Errno as e:
        panic(f"the interrupts that guests need, of the virtual timer or of list registers, cannot be used: {e.name}")


def start_cpus() -> None:
    if psci.firmware.present:
        version = psci.version()
        debug(f"firmware: PSCI {version >> 16}.{version & 0xFFFF}")
    try:
        smp.number_cpus()
    except Errno as e:
        warning(f"only the boot CPU runs: /cpus cannot be read: {e.name}")
    smp.start_other_cpus()
    report_nodes()
