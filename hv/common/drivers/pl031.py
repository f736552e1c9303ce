"""The PL031 real-time clock (Arm DDI 0224, 3.3): seconds since 1970, UTC, in one register."""

from hv.arch import read_device32
from hv.lang import Final, u64

DATA: Final[u64] = 0x00


def read_clock(address: u64) -> u64:
    """From the clock whose registers are mapped at the address."""
    return u64(read_device32(address + DATA))
