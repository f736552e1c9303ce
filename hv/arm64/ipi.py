"""Interrupts between CPUs: software generated interrupt 0, sent by the interrupt controller.

There is one kind. What the receiver has to do stands in memory that it looks at after any interrupt.
"""

from hv.arm64.controller import gic
from hv.arm64.cpu import complete_stores
from hv.lang import Final, u32

KICK: Final[u32] = 0


def send_ipi(cpu: u32) -> None:
    complete_stores()
    gic.driver.send_ipi(KICK, cpu)
