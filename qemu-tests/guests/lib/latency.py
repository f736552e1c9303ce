"""How late an interrupt comes to the first instruction of its handler (latency.S).

What is returned is the counter there. The interrupt is still pending then, and interrupts are masked. So many `nops`
execute before the counter is read: with 0 to DITHER - 1 in turn, as many as a tick has, the sum of the rounds is exact
although each reading is rounded down.
"""

from hv.lang import Final, extern, u64

DITHER: Final = 16


@extern
def spin_until(deadline: u64, nops: u64) -> u64:
    """The virtual timer's interrupt at `deadline`, an instruction of the guest's being interrupted."""
    ...


@extern
def wait_until(deadline: u64, nops: u64) -> u64:
    """The same with a guest that waits by WFI."""
    ...
