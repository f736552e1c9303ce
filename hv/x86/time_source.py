"""Choosing the machine's clock, and starting it.

The TSC is the clock when it runs at one speed whatever the CPU does, or a hypervisor below sees to that; it is measured
against the best clock that the machine has. Otherwise that one is the clock itself. `clocksource=` says which to use,
in Xen's words: tsc, hpet or acpi (the PM timer).
"""

from hv.arch import now
from hv.common.kernel.log import info, warning
from hv.common.kernel.options import options
from hv.common.kernel.time import SECOND, Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.mm.physical import RegisterWindows
from hv.lang import Embedded, Final
from hv.x86 import calibration, timer
from hv.x86.clock_choice import choice
from hv.x86.cpuid import features
from hv.x86.pit import pit

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


def start_clock(has_fadt: bool, windows: RegisterWindows) -> None:
    """`has_fadt`: the FADT has been read. `windows`: for the clocks' registers."""
    speeds = calibration.crystal_speeds()
    source = "CPUID"
    steady = calibration.tsc_is_invariant() or features.hypervisor
    other = chosen in ("hpet", "acpi") or (chosen == "" and not steady)
    measured = speeds.tsc == 0
    if measured or other:
        choice.choose(chosen != "acpi", has_fadt, windows)
    if measured:
        speeds = choice.speeds
        source = choice.clock.name()
    timer.start_clock(speeds.tsc, speeds.apic, features.tsc_deadline)
    info(f"TSC {speeds.tsc // 1000} kHz, local APIC timer {speeds.apic // 1000} kHz, by {source}")
    if not other:
        if measured:
            choice.clock.leave(windows)
    elif choice.clock is pit:
        warning("the TSC may change its speed, and there is no better clock")
    else:
        timer.use_reference(choice.clock)
        info(f"the clock is the {choice.clock.name()}")


def carry_time_on() -> None:
    """When timers run: for a clock that begins anew."""
    if timer.clock.reference is not None:
        carry_on.start()
