"""Single instructions: interrupt masks, barriers, sleep; and which CPU this is."""

from hv.lang import Final, SystemRegister, asm, u64

CPUS: Final = 4  # layout.h

TPIDR_EL1: Final = SystemRegister("tpidr_el1")
MPIDR_EL1: Final = SystemRegister("mpidr_el1")


def cpu() -> u64:
    """This CPU's number, as entry.S keeps it."""
    return TPIDR_EL1.read()


@asm("msr daifset, #2")
def interrupts_off() -> None: ...


@asm("msr daifclr, #2\n\tisb\n\tmsr daifset, #2")
def interrupt_window() -> None:
    """Whatever interrupt is pending is taken here."""
    ...


@asm("dsb sy\n\twfi")
def wait_for_interrupt() -> None:
    """Returns also when a masked interrupt is pending."""
    ...


@asm("isb")
def instruction_barrier() -> None: ...


@asm("dsb sy")
def complete_all() -> None: ...


@asm("nop")
def nothing() -> None:
    """An instruction that stays where it is, for loops that would be removed."""
    ...
