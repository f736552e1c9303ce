"""ACPI's power management timer as a clock (ACPI Specification 6.5, 4.8.3.3)."""

from hv.common.drivers.acpi_fadt import Fadt, Space
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, raises, u16, u32, u64
from hv.x86.cpu import in32, read_device32
from hv.x86.reference import ReferenceClock

HERTZ: Final[u64] = 3_579_545


class PmTimer(ReferenceClock):
    port: u16
    address: u64  # of the register in memory; 0: it is a port
    wide: bool

    @raises
    def init(self, fadt: Fadt, windows: RegisterWindows) -> None:
        """ENODEV: the machine has none that can be read. ENOMEM."""
        register = fadt.pm_timer
        if not register.exists:
            raise Errno.ENODEV
        self.wide = fadt.pm_timer_bits == 32
        if register.space == Space.PORT and register.address <= 0xFFFF:
            self.port = u16(register.address)
            self.address = 0
        elif register.space == Space.MEMORY:
            self.address = windows.map(Paddr(register.address), 4)
        else:
            raise Errno.ENODEV

    def name(self) -> str:
        return "PM timer"

    def frequency(self) -> u64:
        return HERTZ

    def mask(self) -> u64:
        return 0xFFFF_FFFF if self.wide else 0xFF_FFFF

    def read(self) -> u64:
        count: u32 = in32(self.port) if self.address == 0 else read_device32(self.address)
        return u64(count) & self.mask()

    def leave(self, windows: RegisterWindows) -> None:
        if self.address != 0:
            windows.unmap(self.address)


pm_timer: Final = PmTimer()
