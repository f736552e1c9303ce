"""How late an interrupt comes to the first instruction of its handler (latency.S).

What is returned is the counter there, or how far it has advanced since the interrupt's cause. The interrupt is still
pending then, and interrupts are masked. So many `nops` execute before a reading, 0 to DITHER - 1 in turn, as many as a
tick has. Where they are before the handler's and the cause is at a tick, the sum of the rounds is exact although each
reading is rounded down; else the mean of many is right.
"""

from hv.lang import Final, extern, u32, u64

DITHER: Final = 16


@extern
def spin_until(deadline: u64, nops: u64) -> u64:
    """The virtual timer's interrupt at `deadline`, an instruction of the guest's being interrupted."""
    ...


@extern
def wait_until(deadline: u64, nops: u64) -> u64:
    """The same with a guest that waits by WFI."""
    ...


@extern
def raise_after(nops: u64, address: u64, value: u32) -> u64:
    """A device's interrupt that comes at once from a value stored to one of its registers; the `nops` are before."""
    ...
