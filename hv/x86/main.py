"""From the entry stub to a machine that is up: what is done once, in order.

boot/x86/entry.S calls `boot` on the boot CPU with the boot tables, then `initialise` on its final stack; every other
CPU comes to `boot_secondary`.
"""

from hv.arch import halt
from hv.common.kernel.console import console
from hv.common.kernel.crosscall import ipi_received
from hv.common.kernel.log import info, warning
from hv.common.kernel.timer import alarm_rang
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, attach_percpu, export, u8, u32, u64
from hv.x86 import exceptions, lapic, mmu, timer, tlb  # noqa: F401 (the assembly needs the first)
from hv.x86.cpu import write_msr
from hv.x86.cpuid import features, find_features
from hv.x86.descriptors import idt, load_descriptors
from hv.x86.early_console import first_port
from hv.x86.layout import loaded, stack_top
from hv.x86.sysreg import CR4, PAT, Control4

VERSION: Final = "0.1"


class Boot:
    """What the boot loader left."""

    info: Paddr
    by: u32


machine: Final = Boot()


@export
def boot(info: u64, image: u64, by: u32) -> u64:
    """Makes the address space. Returns the top of this CPU's stack in it."""
    attach_percpu(0)
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
    console.attach(first_port)
    info(f"Constrictor {VERSION} on x86-64, image at {loaded.paddr:#x}, boot information at {machine.info:#x}")
    halt()


@export
def boot_secondary(cpu: u32) -> None:
    halt()


def set_up_cpu() -> None:
    write_msr(PAT, 0x0501_0007_0406)
    control = Control4(CR4.read())
    control.global_pages = True
    control.machine_check = features.machine_check
    control.no_user_descriptors = features.umip
    control.no_user_execution = features.smep
    control.no_user_access = features.smap
    CR4.write(control.raw)


@export
def interrupt_taken(vector: u64) -> None:
    match u8(vector):
        case 0xFB:
            lapic.end_of_interrupt()
            tlb.serve()
            ipi_received()
        case 0xFA:
            lapic.end_of_interrupt()
            if timer.alarm_is_due():
                alarm_rang()
        case _:
            warning(f"interrupt {vector}")
