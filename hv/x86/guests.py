"""Setting up what guests need of this machine, once, on the boot CPU: before the CPUs set themselves up."""

from hv.common.comm.upcall import delivery
from hv.common.control import (  # noqa: F401 (registries)
    console_io,
    event_op,
    grant_table_op,
    hvm_params,
    memory_op,
    pv_console,
    sched_op,
    sched_poll,
    vcpu_op,
    vm_assist,
    xen_version,
)
from hv.common.control.hypercall import directory
from hv.common.control.xen_version import offered
from hv.common.kernel.cpus import online
from hv.common.kernel.log import info
from hv.common.model.vcpu import architecture
from hv.common.sched.core import spare_processor
from hv.config import CONFIG_SVM
from hv.lang import Final, u32
from hv.x86.cpuid import features
from hv.x86.hvm import memory_map_op, pv_clock  # noqa: F401 (registries)
from hv.x86.hvm.hypercall_page import page
from hv.x86.hvm.upcall import upcalls
from hv.x86.hvm.vcpu import vcpu_machine
from hv.x86.hvm.virtualisation import choose_extension, chosen
from hv.x86.reminder import start_reminder

if CONFIG_SVM:
    from hv.x86.svm import exits  # noqa: F401 (the assembly needs it)

CALLBACK_VECTOR: Final[u32] = 1 << 8  # XENFEAT_hvm_callback_vector
SAFE_CLOCK: Final[u32] = 1 << 9  # XENFEAT_hvm_safe_pvclock


def start_guests() -> None:
    choose_extension()
    delivery.upcalls = upcalls
    directory.fill()
    offered.features = CALLBACK_VECTOR | SAFE_CLOCK
    offered.capabilities = "hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 "
    page.fill()
    architecture.vcpus = vcpu_machine
    hindrance = vcpu_machine.hindrance()
    if hindrance == "":
        info(f"guests run by {chosen.extension.name()}")
    else:
        info(f"no guest can run here: {hindrance}")


def work_round_emulator(has_madt: bool) -> None:
    """On the boot CPU, once the others are online: for what QEMU's TCG does otherwise than a CPU."""
    if not chosen.found or not features.tcg:
        return
    if len(online) > 1:
        spare_boot_cpu()
    if has_madt:
        start_reminder()


def spare_boot_cpu() -> None:
    """It is left without guests, which it could not run safely.

    When a CPU of QEMU's TCG loads x87 state (FXRSTOR, XRSTOR, FRSTOR), it takes a flag out of the first CPU's word of
    SVM's state by a read and a write that are not one (target/i386/tcg/fpu_helper.c, cpu_clear_ignne, up to QEMU 10).
    A VMRUN or #VMEXIT of the first CPU in between is undone in part: global interrupts stay off, or nested paging on.
    """
    spare_processor()
    info("CPU 0 runs no guests: in QEMU it would lose changes of its SVM state to what others do")
