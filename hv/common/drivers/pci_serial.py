"""16550s on PCI, found by their class alone.

A card with several ports has them one behind the other in one range of I/O ports, eight for each, or one in each range
of eight. Registers in memory are taken for one port. The first port of the machine is com1's, the second com2's, in the
order of `Configuration.functions`. The serial port of Intel's AMT, which a remote computer is behind, is known by its
place, and counts only when it is asked for.

Source: PCI Code and ID Assignment Specification 1.11, 1.8 (class 07h).
"""

from hv.common.drivers.pci import AT_INTERRUPT_LINE, HeaderType, configuration
from hv.common.drivers.pci_bars import AT_BARS, Bar, BarKind, Bars, no_bar
from hv.common.drivers.sbdf import Sbdf
from hv.lang import Errno, Final, raises, u8, u16, u32, u64, value

SERIAL: Final[u16] = 0x0700
MULTIPORT: Final[u16] = 0x0702
INTEL: Final[u16] = 0x8086
AMT_PLACE: Final[u32] = 0x16 << 3 | 3  # 00:16.3
PORT_BYTES: Final[u64] = 8
MOST_PORTS: Final = 32
ANY_SIZE: Final[u64] = 0
UNKNOWN_IRQ: Final[u8] = 0xFF

AT_BRIDGE_PORTS: Final[u32] = 0x1C  # base and limit of the I/O ports behind a bridge, in units of 4 KiB


@value
class SerialPlace:
    where: Sbdf
    in_memory: bool
    base: u64
    irq: u8  # as the firmware has routed it to the old interrupt controllers; UNKNOWN_IRQ


@raises
def find_serial(with_amt: bool, index: u32) -> SerialPlace:
    """The port with this number in the machine. ENODEV: there are not so many."""
    left = index
    for where in configuration.functions():
        if is_serial(where) and (with_amt or not is_amt(where)):
            count = port_count(where)
            if left < count:
                return serial_at(where, left)
            left -= count
    raise Errno.ENODEV


def is_serial(where: Sbdf) -> bool:
    found = configuration.identity(where)
    return found.class_code in (SERIAL, MULTIPORT) and found.header == HeaderType.DEVICE


def is_amt(where: Sbdf) -> bool:
    return where.raw == AMT_PLACE and configuration.identity(where).vendor == INTEL


def port_count(where: Sbdf) -> u32:
    bars = Bars()
    bars.read(where)
    match _count(bars, BarKind.PORTS, ANY_SIZE):
        case 0:
            return min(_count(bars, BarKind.MEMORY, ANY_SIZE), 1)
        case 1:
            return u32(max(min(_nth(bars, BarKind.PORTS, ANY_SIZE, 0).bytes // PORT_BYTES, MOST_PORTS), 1))
        case _:
            return _count(bars, BarKind.PORTS, PORT_BYTES)


@raises
def serial_at(where: Sbdf, index: u32) -> SerialPlace:
    """A port of the function, which answers at its addresses from now on. ENODEV: it has no such port, or its firmware
    has given it no address."""
    bars = Bars()
    bars.read(where)
    ranges = _count(bars, BarKind.PORTS, ANY_SIZE)
    kind = BarKind.MEMORY if ranges == 0 else BarKind.PORTS
    if ranges > 1:
        bar = _nth(bars, kind, PORT_BYTES, index)
        behind: u64 = 0
    else:
        bar = _nth(bars, kind, ANY_SIZE, 0)
        behind = u64(index) * PORT_BYTES
    if bar.address == 0 or behind + PORT_BYTES > bar.bytes or (kind == BarKind.PORTS and bar.address > 0xFFFF):
        raise Errno.ENODEV
    enable(where, kind)
    irq = configuration.read8(where, AT_INTERRUPT_LINE)
    return SerialPlace(where, kind == BarKind.MEMORY, bar.address + behind, UNKNOWN_IRQ if irq == 0 else irq)


@raises
def place_serial(where: Sbdf, port: u16) -> SerialPlace:
    """Gives the function's first registers an I/O port, as the command line has it. ENODEV: it is not there."""
    if not configuration.exists(where):
        raise Errno.ENODEV
    configuration.write32(where, AT_BARS, u32(port) | 1)
    enable(where, BarKind.PORTS)
    irq = configuration.read8(where, AT_INTERRUPT_LINE)
    return SerialPlace(where, False, u64(port), UNKNOWN_IRQ if irq == 0 else irq)


@raises
def open_bridge(where: Sbdf, port: u16) -> None:
    """Lets a bridge pass on accesses to the 4 KiB of I/O ports around one. ENODEV: it is no bridge."""
    if not configuration.exists(where) or configuration.identity(where).header != HeaderType.BRIDGE:
        raise Errno.ENODEV
    page = port & 0xF000
    configuration.write16(where, AT_BRIDGE_PORTS, page | page >> 8)
    enable(where, BarKind.PORTS)


def enable(where: Sbdf, kind: BarKind) -> None:
    """Lets the function answer at its addresses of this kind."""
    command = configuration.command(where)
    if kind == BarKind.PORTS:
        command.ports = True
    else:
        command.memory = True
    configuration.set_command(where, command)


def _count(bars: Bars, kind: BarKind, bytes: u64) -> u32:
    count: u32 = 0
    for bar in bars.all:
        if bar.kind == kind and bytes in (ANY_SIZE, bar.bytes):
            count += 1
    return count


def _nth(bars: Bars, kind: BarKind, bytes: u64, index: u32) -> Bar:
    """Of those of the kind and size; no bar when there are not so many."""
    left = index
    for bar in bars.all:
        if bar.kind == kind and bytes in (ANY_SIZE, bar.bytes):
            if left == 0:
                return bar
            left -= 1
    return no_bar()
