"""Interrupts: from the vector that a CPU took to whoever it is for.

A device's interrupt is claimed once, by its global number, and gets a vector of its own. One that is triggered by an
edge is ended before its handler runs, so that the next edge counts; by a level behind it, when the device has let go.
Handlers run with interrupts masked and without a lock. `Interrupts.lock` protects the table and the I/O APICs.
"""

from hv.common.drivers.acpi_madt import Line
from hv.common.kernel.crosscall import ipi_received
from hv.common.kernel.log import warning
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.timer import alarm_rang
from hv.common.kernel.trace import trace1, trace_irq, trace_time
from hv.common.kernel.trace_events import Event
from hv.lang import Callable, Errno, Final, PerCpu, array, export, raises, u8, u32, u64
from hv.x86 import lapic, timer, tlb
from hv.x86.ioapic import LARGEST_DESTINATION, Redirection, io_apics
from hv.x86.vectors import FIRST_DEVICE, LAST_DEVICE

VECTORS: Final = 256


class Claim:
    """What a device's vector is for."""

    gsi: u32
    level: bool
    claimed: bool
    handler: Callable[[u32], None]


class Taken(PerCpu):
    """How often this CPU took each vector, modulo 2**32."""

    counts: array[u32, VECTORS]


class Interrupts:
    lock: SpinLock[Rank.INTERRUPT]
    claims: array[Claim, VECTORS]
    next: u8  # vector to hand out; 0: the first

    @raises
    def claim(self, line: Line, cpu_apic_id: u32, handler: Callable[[u32], None]) -> None:
        """Calls `handler` with the interrupt's number from now on, on one CPU. EINVAL: no such interrupt, or that CPU
        cannot be reached. EBUSY: it has an owner. ENOSPC: all vectors are taken."""
        apic = io_apics.find(line.gsi)
        if apic is None or cpu_apic_id > LARGEST_DESTINATION:
            raise Errno.EINVAL
        with self.lock:
            for other in range(VECTORS):
                if self.claims[other].claimed and self.claims[other].gsi == line.gsi:
                    raise Errno.EBUSY
            vector = FIRST_DEVICE if self.next == 0 else self.next
            if vector > LAST_DEVICE:
                raise Errno.ENOSPC
            self.next = vector + 1
            claim = self.claims[vector]
            claim.gsi = line.gsi
            claim.level = line.level
            claim.handler = handler
            claim.claimed = True
            apic.set(
                line.gsi - apic.first,
                Redirection(vector=vector, active_low=line.active_low, level=line.level, destination=u64(cpu_apic_id)),
            )

    def take(self, vector: u8) -> None:
        claim = self.claims[vector]
        if not claim.claimed:
            lapic.end_of_interrupt()
            trace1(Event.HW_IRQ_UNMAPPED_VECTOR, u32(vector))
            warning(f"the interrupt with vector {vector} has no owner")
            return
        if claim.level:
            claim.handler(claim.gsi)
            lapic.end_of_interrupt()
        else:
            lapic.end_of_interrupt()
            claim.handler(claim.gsi)


interrupts: Final = Interrupts()


@export
def interrupt_taken(vector: u64) -> None:
    """Called by the stub, at a place of the hypervisor's that lets interrupts in. A trace names the vector."""
    began = trace_time()
    Taken.this().counts[vector] += 1
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
            if vector < u64(FIRST_DEVICE):
                pass  # of the masked PICs, by mistake: nothing has to be ended either
            else:
                interrupts.take(u8(vector))
    trace_irq(u32(vector), began)
