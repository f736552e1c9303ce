"""The other CPU of a unikernel, switched on by INIT and STARTUP (Intel SDM 3A, 8.4.4)."""

from guests.x86.lib.interrupts import ICR, write
from hv.lang import Final, ptr, symbol, u8, u64

PAGE: Final[u64] = 0x8000


def start_other() -> None:
    """By x2APIC: it calls guest_secondary()."""
    start = symbol("secondary")
    for i in range(64):
        if start + u64(i) < symbol("secondary_end"):
            ptr[u8](PAGE + u64(i))[0] = ptr[u8](start + u64(i))[0]
    destination = u64(2) << 32
    write(ICR, destination | 0x4500)  # INIT
    write(ICR, destination | 0x4600 | PAGE >> 12)  # STARTUP
