"""Interrupts between CPUs: software generated interrupts, sent by the interrupt controller.

There are two kinds, one for each day's work and one that is urgent. What the receiver has to do stands in memory that
it looks at then. A CPU with interrupts masked takes neither: the GICv3's priorities could let the second through where
interrupts are masked by priority (pseudo-NMI), but the hypervisor masks them in PSTATE.
"""

from hv.arm64.controller import gic
from hv.arm64.cpu import complete_stores
from hv.lang import Final, u32

KICK: Final[u32] = 0
URGENT: Final[u32] = 1


def send_ipi(cpu: u32) -> None:
    complete_stores()
    gic.driver.send_ipi(KICK, cpu)


def send_urgent_ipi(cpu: u32) -> None:
    complete_stores()
    gic.driver.send_ipi(URGENT, cpu)
