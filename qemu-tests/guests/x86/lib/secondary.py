"""The other CPU of a unikernel, switched on by INIT and STARTUP (Intel SDM 3A, 8.4.4)."""

from guests.x86.lib.cpu import read_msr, write32
from guests.x86.lib.interrupts import APIC_BASE, ICR, X2APIC, at, write
from hv.lang import Final, ptr, symbol, u8, u32, u64

PAGE: Final[u64] = 0x8000
ITS_ID: Final[u64] = 2
ICR_HIGH: Final[u32] = 0x31
INIT: Final[u32] = 0x4500
STARTUP: Final[u32] = 0x4600


def start_other() -> None:
    """It calls guest_secondary()."""
    start = symbol("secondary")
    for i in range(64):
        if start + u64(i) < symbol("secondary_end"):
            ptr[u8](PAGE + u64(i))[0] = ptr[u8](start + u64(i))[0]
    command(INIT)
    command(STARTUP | u32(PAGE >> 12))


def command(what: u32) -> None:
    """To the other CPU, by the register in its present form."""
    if read_msr(APIC_BASE) & X2APIC != 0:
        write(ICR, ITS_ID << 32 | u64(what))
    else:
        write32(at(ICR_HIGH), u32(ITS_ID << 24))
        write32(at(ICR), what)
