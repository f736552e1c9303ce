"""Choosing the machine's clock, and starting it.

The TSC is the clock when it runs at one speed whatever the CPU does, or a hypervisor below sees to that; it is measured
against the best clock that the machine has.
"""

from hv.common.drivers.acpi import acpi
from hv.common.drivers.acpi_fadt import fadt
from hv.common.drivers.acpi_tables import read_hpet
from hv.common.kernel.log import debug, info
from hv.common.kernel.panic import panic
from hv.lang import Errno
from hv.x86 import calibration, timer
from hv.x86.calibration import Speeds
from hv.x86.cpuid import features
from hv.x86.firmware import found
from hv.x86.hpet import hpet
from hv.x86.pit import pit
from hv.x86.pm_timer import pm_timer
from hv.x86.reference import ReferenceClock


def start_clock() -> None:
    clock = best_clock()
    speeds = calibration.crystal_speeds()
    source = "CPUID"
    if speeds.tsc == 0:
        speeds = measured(clock)
        source = clock.name()
    timer.start_clock(speeds.tsc, speeds.apic, features.tsc_deadline)
    info(f"TSC {speeds.tsc // 1000} kHz, local APIC timer {speeds.apic // 1000} kHz, by {source}")
    if not calibration.tsc_is_invariant():
        debug("the CPU does not say that its TSC runs at one speed")


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
