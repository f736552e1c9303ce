"""PCI: the configuration space of functions, and which functions there are.

ACPI's MCFG tells where configuration space lies in memory (ECAM), 4096 bytes for each function. On PCs the first 256
bytes of segment 0 can also be reached by two ports, an address and a value: `Configuration.lock` keeps the two accesses
together. What is not there reads as all ones, and forgets what is written. An access is aligned to its size.

`functions` asks each bus once, whatever the bridges say of buses behind them: bridges that lead in a circle do no harm,
and buses of a second host bridge are found too.

Source: PCI Local Bus Specification 3.0, 3.2.2.3.2 (ports), 6.1 and 6.2 (header), 6.7 (capabilities); PCI-to-PCI Bridge
Architecture 1.2, 3.2; PCI Firmware Specification 3.0, 4.1.2 (ECAM).
"""

from hv.arch import (
    read_device8,
    read_device16,
    read_device32,
    read_port8,
    read_port16,
    read_port32,
    write_device8,
    write_device16,
    write_device32,
    write_port8,
    write_port16,
    write_port32,
)
from hv.common.drivers.acpi_tables import ConfigurationSpace
from hv.common.drivers.sbdf import Sbdf
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import PAGE_SIZE, Paddr
from hv.lang import (
    Bits,
    Errno,
    Field,
    Final,
    Iterator,
    U8Enum,
    array,
    bounded,
    raises,
    truncate,
    u8,
    u16,
    u32,
    u64,
    value,
)

ADDRESS_PORT: Final[u16] = 0xCF8
VALUE_PORT: Final[u16] = 0xCFC
ENABLE: Final[u32] = 1 << 31
PORT_BYTES: Final[u32] = 256  # of configuration space, by the ports
BYTES: Final[u32] = 4096
BUSES: Final = 256
DEVICES: Final = 32
FUNCTIONS: Final = 8
MAX_WINDOWS: Final = 64
HIGHEST_BASE: Final[u64] = (1 << 52) - (1 << 28)
NOTHING: Final[u32] = 0xFFFF_FFFF

# Registers of every header.
AT_VENDOR: Final[u32] = 0x00
AT_COMMAND: Final[u32] = 0x04
AT_STATUS: Final[u32] = 0x06
AT_CLASS: Final[u32] = 0x08  # revision, interface, subclass, class
AT_HEADER_TYPE: Final[u32] = 0x0E
AT_CAPABILITIES: Final[u32] = 0x34
AT_CARDBUS_CAPABILITIES: Final[u32] = 0x14
AT_INTERRUPT_LINE: Final[u32] = 0x3C

MULTI_FUNCTION: Final[u8] = 1 << 7
HAS_CAPABILITIES: Final[u16] = 1 << 4  # of the status
FIRST_CAPABILITY: Final[u32] = 0x40
MAX_CAPABILITIES: Final = 48  # that fit into 256 bytes behind the header


class Command(Bits[u16]):
    ports = Field(0)  # it answers at its I/O ports
    memory = Field(1)  # and at its addresses in memory
    bus_master = Field(2)
    no_interrupt = Field(10)


class HeaderType(U8Enum):
    DEVICE = 0
    BRIDGE = 1
    CARDBUS = 2
    OTHER = 0x7F


@value
class Identity:
    vendor: u16
    device: u16
    class_code: u16  # class and subclass
    interface: u8
    header: HeaderType


@value
class Capability:
    id: u8
    at: u32


@value
class Window:
    """Buses of a segment whose configuration space is mapped; `address` is that of the first one's."""

    segment: u32
    first: u32
    last: u32
    address: u64


@value
class Buses:
    segment: u32
    first: u32
    last: u32


class Configuration:
    """How configuration space is reached. `windows` are added while one CPU runs."""

    lock: SpinLock[Rank.PCI]
    has_ports: bool
    windows: array[Window, MAX_WINDOWS]
    count: u32

    @raises
    def add(self, space: ConfigurationSpace, mapping: RegisterWindows) -> None:
        """EINVAL: no such place. EEXIST: some of it is known already. ENOSPC: too many. ENOMEM. EIO: the ports show
        other functions there."""
        added = Buses(u32(space.segment), u32(space.first_bus), u32(space.last_bus))
        for i in bounded(self.count, MAX_WINDOWS):
            known = self.windows[i]
            if known.segment == added.segment and known.first <= added.last and added.first <= known.last:
                raise Errno.EEXIST
        if self.count == MAX_WINDOWS:
            raise Errno.ENOSPC
        if space.base > HIGHEST_BASE or space.base % PAGE_SIZE != 0:
            raise Errno.EINVAL
        start = Paddr(space.base + (u64(added.first) << 20))
        address = mapping.map(start, (u64(added.last - added.first) + 1) << 20)
        window = Window(added.segment, added.first, added.last, address)
        if self.has_ports and added.segment == 0 and not self._ports_agree(window):
            mapping.unmap(address)
            raise Errno.EIO
        self.windows[self.count] = window
        self.count += 1

    def _ports_agree(self, window: Window) -> bool:
        """Whether the window's first bus has the same functions by either way."""
        for device in range(DEVICES):
            where = Sbdf(bus=window.first, device=device)
            with self.lock:
                self._select(where, AT_VENDOR)
                by_port = read_port32(VALUE_PORT)
            if by_port != read_device32(_in_window(window, where, AT_VENDOR)):
                return False
        return True

    # Access

    def read8(self, where: Sbdf, offset: u32) -> u8:
        address = self._address(where, offset)
        if address != 0:
            return read_device8(address)
        if not self._by_ports(where, offset):
            return truncate(u8, NOTHING)
        with self.lock:
            self._select(where, offset)
            return read_port8(VALUE_PORT + u16(offset & 3))

    def read16(self, where: Sbdf, offset: u32) -> u16:
        address = self._address(where, offset)
        if address != 0:
            return read_device16(address)
        if not self._by_ports(where, offset):
            return truncate(u16, NOTHING)
        with self.lock:
            self._select(where, offset)
            return read_port16(VALUE_PORT + u16(offset & 2))

    def read32(self, where: Sbdf, offset: u32) -> u32:
        address = self._address(where, offset)
        if address != 0:
            return read_device32(address)
        if not self._by_ports(where, offset):
            return NOTHING
        with self.lock:
            self._select(where, offset)
            return read_port32(VALUE_PORT)

    def write8(self, where: Sbdf, offset: u32, value: u8) -> None:
        address = self._address(where, offset)
        if address != 0:
            write_device8(address, value)
        elif self._by_ports(where, offset):
            with self.lock:
                self._select(where, offset)
                write_port8(VALUE_PORT + u16(offset & 3), value)

    def write16(self, where: Sbdf, offset: u32, value: u16) -> None:
        address = self._address(where, offset)
        if address != 0:
            write_device16(address, value)
        elif self._by_ports(where, offset):
            with self.lock:
                self._select(where, offset)
                write_port16(VALUE_PORT + u16(offset & 2), value)

    def write32(self, where: Sbdf, offset: u32, value: u32) -> None:
        address = self._address(where, offset)
        if address != 0:
            write_device32(address, value)
        elif self._by_ports(where, offset):
            with self.lock:
                self._select(where, offset)
                write_port32(VALUE_PORT, value)

    def _address(self, where: Sbdf, offset: u32) -> u64:
        """0: no window shows it."""
        assert offset < BYTES, "access beyond a function's configuration space"
        for i in bounded(self.count, MAX_WINDOWS):
            window = self.windows[i]
            if where.segment == window.segment and window.first <= where.bus <= window.last:
                return _in_window(window, where, offset)
        return 0

    def _by_ports(self, where: Sbdf, offset: u32) -> bool:
        return self.has_ports and where.segment == 0 and offset < PORT_BYTES

    def _select(self, where: Sbdf, offset: u32) -> None:
        write_port32(ADDRESS_PORT, ENABLE | (where.raw & 0xFFFF) << 8 | (offset & 0xFC))

    # Functions

    def exists(self, where: Sbdf) -> bool:
        """No vendor has the numbers 0 and 0xFFFF; the former is what some absent functions show."""
        return self.read16(where, AT_VENDOR) not in (0, 0xFFFF)

    def identity(self, where: Sbdf) -> Identity:
        ids = self.read32(where, AT_VENDOR)
        kind = self.read32(where, AT_CLASS)
        header = self.read8(where, AT_HEADER_TYPE) & ~MULTI_FUNCTION
        known = HeaderType(header) if header <= u8(HeaderType.CARDBUS) else HeaderType.OTHER
        return Identity(
            truncate(u16, ids), truncate(u16, ids >> 16), truncate(u16, kind >> 16), truncate(u8, kind >> 8), known
        )

    def functions(self) -> Iterator[Sbdf]:
        """All that there are, by segments as the machine lists them, buses, devices and functions."""
        for i in bounded(self.count + 1, MAX_WINDOWS + 1):
            buses = self._buses(i)
            for bus in bounded(buses.first, buses.last + 1, BUSES):
                for device in range(DEVICES):
                    first = Sbdf(segment=buses.segment, bus=bus, device=device)
                    for function in bounded(self._function_count(first), FUNCTIONS):
                        where = Sbdf(segment=buses.segment, bus=bus, device=device, function=function)
                        if self.exists(where):
                            yield where

    def _buses(self, part: u32) -> Buses:
        """Part 0 is what the ports reach, which is all of segment 0; the others are the windows."""
        if part == 0:
            return Buses(0, 0, BUSES - 1) if self.has_ports else Buses(0, 1, 0)
        window = self.windows[part - 1]
        if self.has_ports and window.segment == 0:
            return Buses(0, 1, 0)
        return Buses(window.segment, window.first, window.last)

    def _function_count(self, first: Sbdf) -> u32:
        """How many a device may have, by its function 0, without which it has none."""
        if not self.exists(first):
            return 0
        return FUNCTIONS if self.read8(first, AT_HEADER_TYPE) & MULTI_FUNCTION != 0 else 1

    def capabilities(self, where: Sbdf) -> Iterator[Capability]:
        """Those of the list, which a pointer into the header ends; as many as there is room for if it is a circle."""
        at = self._first_capability(where)
        for _ in range(MAX_CAPABILITIES):
            if at < FIRST_CAPABILITY:
                break
            entry = self.read16(where, at)
            yield Capability(truncate(u8, entry), at)
            at = u32(entry >> 8) & 0xFC

    def _first_capability(self, where: Sbdf) -> u32:
        if self.read16(where, AT_STATUS) & HAS_CAPABILITIES == 0:
            return 0
        cardbus = self.identity(where).header == HeaderType.CARDBUS
        return u32(self.read8(where, AT_CARDBUS_CAPABILITIES if cardbus else AT_CAPABILITIES)) & 0xFC

    # The command register

    def command(self, where: Sbdf) -> Command:
        return Command(self.read16(where, AT_COMMAND))

    def set_command(self, where: Sbdf, command: Command) -> None:
        """The status beside it stays: its bits are cleared by ones."""
        self.write16(where, AT_COMMAND, command.raw)


configuration: Final = Configuration()


def _in_window(window: Window, where: Sbdf, offset: u32) -> u64:
    return window.address + (u64(where.raw & 0xFFFF) - (u64(window.first) << 8) << 12) + u64(offset)
