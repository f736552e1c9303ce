"""The simulated machine's RAM: one static arena that plays physical memory from RAM_BASE on.

Frames beyond it may be counted, but not touched.
"""

from hv.common.mm.types import Paddr
from hv.lang import Final, address_of, aligned, array, bounded, ptr, u8, u64

RAM_BASE: Final[u64] = 0x4000_0000
RAM_BYTES: Final[u64] = 0x400_0000
WORDS: Final = 0x80_0000


@aligned(0x20_0000)
class Arena:
    words: array[u64, WORDS]


ram: Final = Arena()


def address_at(paddr: Paddr) -> u64:
    assert paddr >= RAM_BASE and paddr - RAM_BASE < RAM_BYTES, "simulated memory ends here"
    return address_of(ram) + (paddr - RAM_BASE)


def paddr_at(address: u64) -> Paddr:
    offset = address - address_of(ram)
    assert offset < RAM_BYTES, "no address of simulated memory"
    return Paddr(RAM_BASE + offset)


def in_ram(address: u64) -> bool:
    return address - address_of(ram) < RAM_BYTES


def clear(address: u64, length: u64) -> None:
    """Of any memory of the process."""
    if (address | length) % 8 == 0:
        words = ptr[u64](address)
        for i in bounded(length // 8, RAM_BYTES):
            words[i] = 0
        return
    bytes = ptr[u8](address)
    for i in bounded(length, RAM_BYTES):
        bytes[i] = 0


def copy(to: u64, source: u64, length: u64) -> None:
    target = ptr[u8](to)
    origin = ptr[u8](source)
    for i in bounded(length, RAM_BYTES):
        target[i] = origin[i]
