"""What the hypervisor does at the simulated machine's interrupts: functions that a test sets as its handlers
(machine.py).
"""

from hv.common.kernel.crosscall import ipi_received
from hv.common.kernel.timer import alarm_rang
from hv.lang import u32
from hv.x86 import tlb


def kicked(cpu: u32) -> None:
    tlb.serve()
    ipi_received()


def rang(cpu: u32) -> None:
    alarm_rang()
