"""Interrupts: from the vector that the CPU took to whoever it is for."""

from hv.common.kernel.crosscall import ipi_received
from hv.common.kernel.log import warning
from hv.common.kernel.timer import alarm_rang
from hv.lang import export, u8, u64
from hv.x86 import lapic, timer, tlb


@export
def interrupt_taken(vector: u64) -> None:
    """Called by the stub, at a place of the hypervisor's that lets interrupts in."""
    match u8(vector):
        case 0xFB:
            lapic.end_of_interrupt()
            tlb.serve()
            ipi_received()
        case 0xFA:
            lapic.end_of_interrupt()
            if timer.alarm_is_due():
                alarm_rang()
        case 0xFF:
            pass  # spurious: nothing came, and nothing has to be ended
        case _:
            warning(f"interrupt {vector} has no owner")
            lapic.end_of_interrupt()
