"""The virtual timer (Arm DDI 0487, D12.2): its counter, and sleeping until it comes to a value."""

from guests.lib.controller import interrupts
from guests.lib.cpu import instruction_barrier, interrupt_window, wait_for_interrupt
from hv.lang import Final, SystemRegister, u64, unbounded

INTID: Final = 27

CNTFRQ_EL0: Final = SystemRegister("cntfrq_el0")
CNTVCT_EL0: Final = SystemRegister("cntvct_el0")
CNTV_CTL_EL0: Final = SystemRegister("cntv_ctl_el0")
CNTV_CVAL_EL0: Final = SystemRegister("cntv_cval_el0")
ENABLE: Final[u64] = 1


def counter() -> u64:
    """Ticks, read when all instructions before are done."""
    instruction_barrier()
    return CNTVCT_EL0.read()


def milliseconds(count: u64) -> u64:
    """In ticks."""
    return CNTFRQ_EL0.read() * count // 1000


@unbounded("the timer comes to the deadline")
def sleep(ticks: u64) -> None:
    """Waits for interrupts until then; those that come are taken. The timer's must be enabled.

    One that a list register has held since the sleep before, which the guest then ended without it, comes now: it
    stops the timer, which is set anew.
    """
    deadline = counter() + ticks
    CNTV_CVAL_EL0.write(deadline)
    while counter() < deadline:
        CNTV_CTL_EL0.write(ENABLE)
        instruction_barrier()
        wait_for_interrupt()
        interrupt_window()
    stop()


def stop() -> None:
    CNTV_CTL_EL0.write(0)
    instruction_barrier()


@interrupts.entry(intid=INTID)
def expired() -> None:
    stop()
