"""Interrupts between CPUs: one vector, and the NMI. What the receiver has to do stands in memory that it looks at."""

from hv.lang import PerCpu, assembly_layout, u32
from hv.x86 import lapic
from hv.x86.vectors import KICK


@assembly_layout
class CpuPlace(PerCpu):
    apic_id: u32
    ready: bool  # it has its stacks, and may be started


def send_ipi(cpu: u32) -> None:
    lapic.send(CpuPlace.on(cpu).apic_id, KICK)


def send_nmi(cpu: u32) -> None:
    lapic.send_nmi(CpuPlace.on(cpu).apic_id)
