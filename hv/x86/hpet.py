"""The high precision event timer, of which only the counter is used (IA-PC HPET Specification 1.0a, 2.3)."""

from hv.common.drivers.acpi_fadt import Space
from hv.common.drivers.acpi_tables import HpetTable
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, raises, u64
from hv.x86.cpu import read_device32, read_device64, write_device32
from hv.x86.reference import ReferenceClock

BYTES: Final[u64] = 0x400
CAPABILITIES: Final[u64] = 0x000
CONFIGURATION: Final[u64] = 0x010
COUNTER: Final[u64] = 0x0F0
ENABLE: Final = 1
LEGACY: Final = 2  # takes the place of PIT and RTC
FEMTOSECONDS: Final[u64] = 1_000_000_000_000_000
LONGEST_PERIOD: Final[u64] = 100_000_000  # fs (2.3.4)
SHORTEST_PERIOD: Final[u64] = 1_000_000  # fs: half a round of the counter's lower half takes two seconds


class Hpet(ReferenceClock):
    address: u64
    hertz: u64

    @raises
    def init(self, table: HpetTable, windows: RegisterWindows) -> None:
        """Starts the counter. ENODEV: it is none that can be used. ENOMEM."""
        if table.base.space != Space.MEMORY or not table.base.exists:
            raise Errno.ENODEV
        self.address = windows.map(Paddr(table.base.address), BYTES)
        capabilities = read_device64(self.address + CAPABILITIES)
        period = capabilities >> 32
        if period < SHORTEST_PERIOD or period > LONGEST_PERIOD:
            windows.unmap(self.address)
            raise Errno.ENODEV
        self.hertz = FEMTOSECONDS // period
        settings = read_device32(self.address + CONFIGURATION)
        write_device32(self.address + CONFIGURATION, settings & ~LEGACY | ENABLE)

    def name(self) -> str:
        return "HPET"

    def frequency(self) -> u64:
        return self.hertz

    def mask(self) -> u64:
        """The lower half: both cannot be read in one piece everywhere."""
        return 0xFFFF_FFFF

    def read(self) -> u64:
        return u64(read_device32(self.address + COUNTER))

    def leave(self, windows: RegisterWindows) -> None:
        windows.unmap(self.address)


hpet: Final = Hpet()
