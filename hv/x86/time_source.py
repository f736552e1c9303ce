"""Choosing the machine's clock, and starting it.

The TSC is the clock when it runs at one speed whatever the CPU does, or a hypervisor below sees to that; it is measured
against the best clock that the machine has. Otherwise that one is the clock itself. `clocksource=` says which to use,
in Xen's words: tsc, hpet or acpi (the PM timer).
"""

from hv.arch import now
from hv.common.drivers.acpi import acpi
from hv.common.drivers.acpi_fadt import fadt
from hv.common.drivers.acpi_tables import read_hpet
from hv.common.kernel.log import info, warning
from hv.common.kernel.options import options
from hv.common.kernel.panic import panic
from hv.common.kernel.time import SECOND, Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.lang import Embedded, Errno, Final
from hv.x86 import calibration, timer
from hv.x86.calibration import Speeds
from hv.x86.cpuid import features
from hv.x86.firmware import found
from hv.x86.hpet import hpet
from hv.x86.pit import pit
from hv.x86.pm_timer import pm_timer
from hv.x86.reference import ReferenceClock

chosen: str = ""


@options.entry(name="clocksource")
def clocksource(text: str) -> bool:
    global chosen
    chosen = text
    return text in ("tsc", "hpet", "acpi")


class CarryOn(TimerOwner):
    """Reads the clock before it has gone through half of a round."""

    timer: Embedded[Timer]

    def start(self) -> None:
        self.timer.init(self)
        self.timer.set(Ns(now() + SECOND))

    def expired(self, now: Ns) -> None:
        self.timer.set(Ns(now + SECOND))


carry_on: Final = CarryOn()


def start_clock() -> None:
    clock = best_clock()
    speeds = calibration.crystal_speeds()
    source = "CPUID"
    if speeds.tsc == 0:
        speeds = measured(clock)
        source = clock.name()
    timer.start_clock(speeds.tsc, speeds.apic, features.tsc_deadline)
    info(f"TSC {speeds.tsc // 1000} kHz, local APIC timer {speeds.apic // 1000} kHz, by {source}")
    steady = calibration.tsc_is_invariant() or features.hypervisor
    if chosen in ("hpet", "acpi") or (chosen == "" and not steady):
        if clock is pit:
            warning("the TSC may change its speed, and there is no better clock")
        else:
            timer.use_reference(clock)
            info(f"the clock is the {clock.name()}")


def carry_time_on() -> None:
    """When timers run: for a clock that begins anew."""
    if timer.clock.reference is not None:
        carry_on.start()


def measured(clock: ReferenceClock) -> Speeds:
    """Against a clock; against the PIT when that one does not work."""
    try:
        return calibration.measure(clock)
    except Errno:
        pit.start()
    try:
        return calibration.measure(pit)
    except Errno as e:
        panic(f"there is no clock to measure the TSC with: {e.name}")


def best_clock() -> ReferenceClock:
    if chosen != "acpi":
        try:
            hpet.init(read_hpet(acpi.find("HPET")))
            return hpet
        except Errno:
            pass
    try:
        if found.fadt:
            pm_timer.init(fadt)
            return pm_timer
    except Errno:
        pass
    pit.start()
    return pit
