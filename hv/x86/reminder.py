"""A periodic interrupt that every CPU hears of, for QEMU's TCG, where a CPU may forget one that it was sent.

A VMRUN with a virtual interrupt pending says so in the CPU thread's word of requests by a read and a write that are not
one (target/i386/tcg/sysemu/svm_helper.c, helper_vmrun, up to QEMU 10). A request of the local APIC's that comes in
between, from a timer or another CPU, is lost. The interrupt waits in the APIC until that has another reason to ask:
without one the CPU runs its guest for ever, or sleeps. The interval timer's channel 0 is a reason, 18 times a second.
"""

from hv.arch import cpu_id, send_ipi
from hv.common.drivers.acpi_madt import madt
from hv.common.kernel.cpus import online
from hv.common.kernel.log import warning
from hv.lang import Errno, Final, u8, u32
from hv.x86.interrupts import interrupts
from hv.x86.ipi import CpuPlace
from hv.x86.pit import start_ticks

TIMER_IRQ: Final[u8] = 0  # of ISA's interrupts


def start_reminder() -> None:
    """On the boot CPU, once the others are online, when the MADT has been read."""
    try:
        interrupts.claim(madt.isa_line(TIMER_IRQ), CpuPlace.this().apic_id, remind)
    except Errno as e:
        warning(f"the interval timer's interrupt cannot be used: {e.name}; QEMU may make a guest wait for ever")
        return
    start_ticks()


def remind(gsi: u32) -> None:
    """The interrupt itself has reminded this CPU."""
    for cpu in online:
        if cpu != cpu_id():
            send_ipi(cpu)
