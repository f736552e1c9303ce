"""Which of a PC's clocks the others are measured against: the HPET, else the PM timer, else the PIT.

A clock that stands still, or runs so that the TSC could not be what was measured, is passed over.
"""

from hv.common.drivers.acpi import acpi
from hv.common.drivers.acpi_fadt import fadt
from hv.common.drivers.acpi_tables import read_hpet
from hv.common.kernel.panic import panic
from hv.common.mm.physical import RegisterWindows
from hv.lang import Errno, Final, raises
from hv.x86.calibration import Speeds, measure
from hv.x86.hpet import hpet
from hv.x86.pit import pit
from hv.x86.pm_timer import pm_timer
from hv.x86.reference import ReferenceClock


class ClockChoice:
    clock: ReferenceClock
    speeds: Speeds  # as measured against it

    def choose(self, may_be_hpet: bool, has_fadt: bool, windows: RegisterWindows) -> None:
        """Panics on a machine that has no clock."""
        if may_be_hpet and self._hpet_runs(windows):
            return
        if has_fadt and self._pm_timer_runs(windows):
            return
        pit.start()
        try:
            self._measure(pit)
        except Errno as e:
            panic(f"there is no clock to measure the TSC with: {e.name}")

    def _hpet_runs(self, windows: RegisterWindows) -> bool:
        try:
            hpet.init(read_hpet(acpi.find("HPET")), windows)
        except Errno:
            return False
        return self._runs(hpet, windows)

    def _pm_timer_runs(self, windows: RegisterWindows) -> bool:
        try:
            pm_timer.init(fadt, windows)
        except Errno:
            return False
        return self._runs(pm_timer, windows)

    def _runs(self, clock: ReferenceClock, windows: RegisterWindows) -> bool:
        """One that does not is left."""
        try:
            self._measure(clock)
        except Errno:
            clock.leave(windows)
            return False
        return True

    @raises
    def _measure(self, clock: ReferenceClock) -> None:
        """EIO: it is no clock."""
        self.speeds = measure(clock)
        self.clock = clock


choice: Final = ClockChoice()
