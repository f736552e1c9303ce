"""PCI's base address registers: where a function's registers lie, and how large each part is.

A size is found by writing all ones and reading back which bits stay. Meanwhile the function answers at none of its
addresses: the command register turns that off, and is put back as it was, like the base address registers. Whoever asks
must own the function: nobody else uses it at that time.

Source: PCI Local Bus Specification 3.0, 6.2.5.1.
"""

from hv.common.drivers.pci import Command, HeaderType, configuration
from hv.common.drivers.sbdf import Sbdf
from hv.lang import Final, U8Enum, array, bounded, u32, u64, value

AT_BARS: Final[u32] = 0x10
BARS: Final = 6
BRIDGE_BARS: Final[u32] = 2
ALL: Final[u32] = 0xFFFF_FFFF

IN_PORTS: Final[u32] = 1 << 0
MEMORY_TYPE: Final[u32] = 3 << 1
WIDE: Final[u32] = 2 << 1  # 64 bits
RESERVED: Final[u32] = 3 << 1
PREFETCHABLE: Final[u32] = 1 << 3
PORT_FLAGS: Final[u32] = 3
MEMORY_FLAGS: Final[u32] = 15
PORT_BITS: Final[u32] = 0xFFFF  # of which some devices have no others


class BarKind(U8Enum):
    NONE = 0
    PORTS = 1
    MEMORY = 2


@value
class Bar:
    kind: BarKind
    wide: bool  # the next register is its upper half
    prefetchable: bool
    address: u64  # 0: firmware has given it none
    bytes: u64  # a power of two


class Bars:
    """A function's; the upper half of a wide one is NONE."""

    all: array[Bar, BARS]

    def read(self, where: Sbdf) -> None:
        """Of a header that has none, or of a function that is not there: all NONE."""
        for i in range(BARS):
            self.all[i] = no_bar()
        count = _count(configuration.identity(where).header) if configuration.exists(where) else 0
        command = configuration.command(where)
        quiet = Command(command.raw)
        quiet.ports = False
        quiet.memory = False
        configuration.set_command(where, quiet)
        upper = False
        for i in bounded(count, BARS):
            if not upper:
                self.all[i] = _sized(where, i, i + 1 < count)
            upper = self.all[i].wide
        configuration.set_command(where, command)


def no_bar() -> Bar:
    return Bar(BarKind.NONE, False, False, 0, 0)


def _count(header: HeaderType) -> u32:
    match header:
        case HeaderType.DEVICE:
            return BARS
        case HeaderType.BRIDGE:
            return BRIDGE_BARS
        case _:
            return 0


def _sized(where: Sbdf, index: u32, has_next: bool) -> Bar:
    """NONE: the register is not there, is of no known kind, or the last one wants another behind it."""
    at = AT_BARS + 4 * index
    low = configuration.read32(where, at)
    mask = _writable(where, at)
    if mask == 0:
        return no_bar()
    if low & IN_PORTS != 0:
        bits = mask & ~PORT_FLAGS
        if bits & ~PORT_BITS == 0:
            bits |= ~PORT_BITS
        return Bar(BarKind.PORTS, False, False, u64(low & ~PORT_FLAGS), u64(~bits) + 1)
    address = u64(low & ~MEMORY_FLAGS)
    writable = u64(mask & ~MEMORY_FLAGS)
    kind = low & MEMORY_TYPE
    wide = kind == WIDE
    if kind == RESERVED or (wide and not has_next):
        return no_bar()
    if wide:
        address |= u64(configuration.read32(where, at + 4)) << 32
        writable |= u64(_writable(where, at + 4)) << 32
    else:
        writable |= u64(ALL) << 32
    return Bar(BarKind.MEMORY, wide, low & PREFETCHABLE != 0, address, ~writable + 1)


def _writable(where: Sbdf, at: u32) -> u32:
    """What stays of all ones. The register has its value again."""
    before = configuration.read32(where, at)
    configuration.write32(where, at, ALL)
    stays = configuration.read32(where, at)
    configuration.write32(where, at, before)
    return stays
