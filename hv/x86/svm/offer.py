"""Interrupts that a guest is offered as virtual ones, where injecting them does not do (AMD APM 2, 15.21.4).

QEMU's TCG keeps the vector of an injected interrupt as its thread's own exception when the guest has taken it
(helper_vmrun in target/i386/tcg, cpu_handle_interrupt in accel/tcg/cpu-exec.c, up to QEMU 10). If the thread is asked
to leave its loop just then, the guest takes the interrupt again, within the first instruction of the handler. A virtual
one it takes once. While that is on offer no window can be opened with another: the guest comes out at the handler's
IRET.
"""

from hv.lang import Final, u8, u16, u64
from hv.x86.svm.nmi import watch_return
from hv.x86.svm.vmcb import Vmcb

PRIORITY_WRITES: Final[u16] = 1 << 8  # CR8


def offer(vmcb: Vmcb, vector: u8) -> None:
    """The guest takes it as soon as its IF and shadow let it, whatever its task priority is."""
    vmcb.interrupt.pending = True
    vmcb.interrupt.vector = u64(vector)
    vmcb.interrupt.ignore_tpr = True
    vmcb.clean.interrupt = False
    vmcb.intercepts1.window = False
    vmcb.cr_writes = PRIORITY_WRITES  # as while a window is open
    vmcb.clean.intercepts = False


def come_out_behind(vmcb: Vmcb) -> None:
    """Another interrupt waits for the end of the handler of the one on offer."""
    watch_return(vmcb, True)


def withdraw(vmcb: Vmcb, watched: bool) -> bool:
    """When the guest has come out; `watched`: its next IRET ends an NMI. Whether the interrupt is left: then the guest
    has not taken it, or not to the end, which QEMU reports as an exception of that number.
    """
    left = vmcb.interrupt.pending
    vmcb.interrupt.pending = False
    vmcb.interrupt.ignore_tpr = False
    vmcb.clean.interrupt = False
    vmcb.cr_writes = 0
    watch_return(vmcb, watched)
    return left
