"""The machine's CPUs: their numbers, and starting them by INIT and STARTUP (Intel SDM 3A, 8.4).

Number 0 is the CPU that booted; the others are numbered in the order of the MADT. A CPU that does not start keeps its
number and stays offline. All are started at once: each finds its number by its APIC ID.
"""

from hv.arch import copy_bytes, direct_address, now, relax
from hv.common.drivers.acpi_madt import Madt
from hv.common.drivers.acpi_nodes import node_of_cpu
from hv.common.kernel.cpus import online
from hv.common.kernel.log import info, warning
from hv.common.kernel.time import MICROSECOND, MILLISECOND, SECOND, Ns
from hv.common.mm.early import early
from hv.common.mm.heap import heap
from hv.common.mm.nodes import CpuNode
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Paddr, paddr_of
from hv.config import CONFIG_NR_CPUS
from hv.lang import Errno, Final, bounded, ptr, raises, symbol, u8, u32, u64, unbounded
from hv.x86 import lapic
from hv.x86.ipi import CpuPlace
from hv.x86.layout import STACK_SIZE, StackKind, loaded, physical_address, stack_size
from hv.x86.mmu import map_stack, unmap_stack
from hv.x86.tsc_sync import check_who_waits, prepare

STACK_ORDER: Final[u32] = 2  # STACK_SIZE, in frames
EXCEPTION_STACK_ORDER: Final[u32] = 1
STACK_KINDS: Final = 4
LOW_MEMORY: Final[u64] = 0x10_0000  # where real mode ends
LARGEST_XAPIC: Final[u32] = 0xFE


class Cpus:
    count: u32  # CPUs with a number
    trampoline: Paddr  # 0: there is no page for it


cpus: Final = Cpus()


@raises
def reserve_trampoline() -> None:
    """Takes a page of usable memory below 1 MiB, the highest, before the heap has it. Page 0 is left alone. ENOSPC."""
    for part in early.free:
        if part.start < LOW_MEMORY:
            top = min(u64(part.end), LOW_MEMORY) - PAGE_SIZE
            if top >= u64(part.start) and top != 0:
                cpus.trampoline = Paddr(top)
    if cpus.trampoline != Paddr(0):
        early.reserve(cpus.trampoline, Paddr(cpus.trampoline + PAGE_SIZE))


def name_boot_cpu() -> None:
    place_cpu(0, lapic.machine.apic.id())
    cpus.count = 1


def place_cpu(cpu: u32, apic_id: u32) -> None:
    CpuPlace.on(cpu).apic_id = apic_id
    CpuNode.on(cpu).node = node_of_cpu(apic_id)


def number_cpus(madt: Madt) -> None:
    left_out: u32 = 0
    for apic in madt.local_apics():
        if not apic.enabled or _number_of(apic.apic_id) != cpus.count:
            continue
        if apic.apic_id > LARGEST_XAPIC and not lapic.machine.has_x2apic:
            warning(f"the CPU with APIC ID {apic.apic_id} stays off: without x2APIC it cannot be told to start")
        elif cpus.count == CONFIG_NR_CPUS:
            left_out += 1
        else:
            place_cpu(cpus.count, apic.apic_id)
            cpus.count += 1
    if left_out != 0:
        warning(f"{left_out} CPUs stay off: this build has room for {CONFIG_NR_CPUS}")


def _number_of(apic_id: u32) -> u32:
    """Of a CPU that has one; else the next."""
    for cpu in bounded(cpus.count, CONFIG_NR_CPUS):
        if CpuPlace.on(cpu).apic_id == apic_id:
            return cpu
    return cpus.count


def start_other_cpus() -> None:
    if cpus.count > 1:
        if cpus.trampoline == Paddr(0):
            warning("no other CPU can start: there is no usable memory below 1 MiB")
        else:
            _fill_trampoline(cpus.trampoline)
            prepare()
            ptr[u32](symbol("cpus_named"))[0] = cpus.count
            _start_all()
    info(f"{len(online)} of {cpus.count} CPUs run")


def _start_all() -> None:
    for cpu in bounded(1, cpus.count, CONFIG_NR_CPUS):
        try:
            _give_stacks(cpu)
            CpuPlace.on(cpu).ready = True
        except Errno as e:
            warning(f"CPU {cpu}: there is no memory for its stacks ({e.name})")
    for cpu in bounded(1, cpus.count, CONFIG_NR_CPUS):
        if CpuPlace.on(cpu).ready:
            lapic.send_init(CpuPlace.on(cpu).apic_id)
    _pause(Ns(10 * MILLISECOND))
    _send_startup()
    _pause(Ns(200 * MICROSECOND))
    _send_startup()  # a CPU that took the first one in takes no notice of the second
    for cpu in bounded(1, cpus.count, CONFIG_NR_CPUS):
        if CpuPlace.on(cpu).ready and not _wait_for(cpu):
            warning(f"CPU {cpu}: does not answer")


def _send_startup() -> None:
    for cpu in bounded(1, cpus.count, CONFIG_NR_CPUS):
        if CpuPlace.on(cpu).ready and cpu not in online:
            lapic.send_startup(CpuPlace.on(cpu).apic_id, u8(cpus.trampoline >> PAGE_SHIFT))


@raises
def _give_stacks(cpu: u32) -> None:
    """All of them, or none. ENOMEM."""
    for i in range(STACK_KINDS):
        try:
            _give_stack(cpu, StackKind(i))
        except Errno:
            for given in bounded(i, STACK_KINDS):
                kind = StackKind(given)
                heap.free(unmap_stack(cpu, kind), _order(kind))
            raise


@raises
def _give_stack(cpu: u32, kind: StackKind) -> None:
    """ENOMEM."""
    with heap.allocated_near(_order(kind), CpuNode.on(cpu).node) as stack:
        map_stack(cpu, kind, paddr_of(stack.mfn))
        stack.keep()


def _order(kind: StackKind) -> u32:
    return STACK_ORDER if stack_size(kind) == STACK_SIZE else EXCEPTION_STACK_ORDER


def _fill_trampoline(page: Paddr) -> None:
    """What stands behind its code counts from where the page is."""
    start = symbol("trampoline")
    copy = direct_address(page)
    copy_bytes(copy, start, symbol("trampoline_end") - start)
    gdt = ptr[u32](copy + (symbol("trampoline_gdt_base") - start))
    far = ptr[u32](copy + (symbol("trampoline_far_offset") - start))
    gdt[0] = gdt[0] + u32(page)
    far[0] = far[0] + u32(page)
    ptr[u32](copy + (symbol("trampoline_image") - start))[0] = u32(loaded.paddr)
    ptr[u32](copy + (symbol("trampoline_entry") - start))[0] = u32(physical_address(symbol("secondary_start")))


@unbounded("ends when the time is over")
def _pause(span: Ns) -> None:
    deadline = now() + span
    while now() < deadline:
        relax()


@unbounded("ends when for a second no CPU has come on")
def _wait_for(cpu: u32) -> bool:
    deadline = now() + SECOND
    while cpu not in online:
        if check_who_waits():
            deadline = now() + SECOND
        elif now() > deadline:
            return False
        relax()
    return True
