"""A guest that owns the machine's real-time clock, a PL031 (Arm DDI 0224, 3.3): it lets the alarm ring at a rate, takes
each interrupt, and tells how many came and how long the longest took.

The alarm rings at once when the match register is set to what the clock shows. `rate` is in a second, `seconds` how
long. With `again` it leaves the alarm ringing and resets itself; its second life begins with that interrupt. `open`
says that nothing is refused where nothing is: it reads ones.
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.arguments import argument
from guests.lib.controller import interrupts
from guests.lib.cpu import interrupt_window, wait_for_interrupt
from guests.lib.ending import give_up
from guests.lib.gic import gic
from guests.lib.hypercall import hvc, power_off
from guests.lib.mmio import read8, read32, read64, write32
from guests.lib.text import line
from guests.lib.timer import CNTFRQ_EL0, counter, milliseconds, sleep
from guests.lib.timer import INTID as TIMER
from guests.lib.uart import uart
from hv.lang import Final, bounded, export, u32, u64, unbounded

CLOCK: Final[u64] = 0x1001_0000  # where the partial tree puts it
INTID: Final = 34
DATA: Final[u64] = CLOCK + 0x00
MATCH: Final[u64] = CLOCK + 0x04
MASK: Final[u64] = CLOCK + 0x10
RAW: Final[u64] = CLOCK + 0x14
MASKED: Final[u64] = CLOCK + 0x18
CLEAR: Final[u64] = CLOCK + 0x1C

NOTHING: Final[u64] = 0x1000_0000  # nothing is mapped there
MOST: Final = 1 << 20
PSCI_SYSTEM_RESET: Final[u64] = 0x8400_0009


class Alarm:
    rings: u64
    empty: u64  # interrupts without one
    at: u64  # when it was made to ring
    longest: u64  # ticks from there to the handler


alarm: Final = Alarm()


@interrupts.entry(intid=INTID)
def rang() -> None:
    alarm.longest = max(alarm.longest, counter() - alarm.at)
    if read32(MASKED) & 1 != 0:
        alarm.rings += 1
    else:
        alarm.empty += 1
    write32(CLEAR, 1)


@unbounded("the second that the clock shows lasts longer than two of its registers' accesses")
def ring() -> None:
    alarm.at = counter()
    write32(MATCH, read32(DATA))
    while read32(RAW) & 1 == 0:
        write32(MATCH, read32(DATA))


@unbounded("the interrupt comes, or the guest gives up")
def await_ring(wanted: u64) -> None:
    """Its timer lets it look again when nothing comes."""
    began = counter()
    while alarm.rings < wanted:
        if counter() - began > milliseconds(5000):
            give_up(f"ring {wanted} does not come")
        sleep(milliseconds(1))


def check_nothing() -> None:
    """What is read where nothing is, in each width, and that a write harms nobody."""
    write32(NOTHING, 5)
    if read8(NOTHING) != 0xFF or read32(NOTHING) != 0xFFFF_FFFF or read64(NOTHING) != 0xFFFF_FFFF_FFFF_FFFF:
        give_up("where nothing is, something else than ones is read")
    line("OPEN rtc")


@export
def guest_main(tree: u64) -> None:
    uart.init()
    gic.init()
    gic.init_cpu()
    gic.enable(TIMER)
    again = read32(RAW) & 1 != 0
    line("AGAIN rtc" if again else "READY rtc")
    write32(MASK, 1)
    gic.enable(INTID)
    if again:
        await_ring(1)
    elif argument(tree, "open", 0) != 0:
        check_nothing()
    first = alarm.rings
    rate = argument(tree, "rate", 2000)
    count = rate * argument(tree, "seconds", 1)
    began = counter()
    for i in bounded(u32(count), MOST):
        pace(began + u64(i) * CNTFRQ_EL0.read() // rate)
        ring()
        take(first + u64(i) + 1)
    took = (counter() - began) * 1000 // CNTFRQ_EL0.read()
    longest = alarm.longest * 1_000_000 // CNTFRQ_EL0.read()
    line(f"RINGS {alarm.rings - first} of {count} in {took} ms, {alarm.empty} empty, longest {longest} us")
    if alarm.rings - first != count or alarm.empty != 0:
        give_up("rings are missing, or came twice")
    if argument(tree, "again", 0) != 0 and not again:
        ring()
        hvc(PSCI_SYSTEM_RESET, 0, 0, 0)
    line("DONE rtc ok")
    power_off()


def pace(deadline: u64) -> None:
    now = counter()
    if now < deadline:
        sleep(deadline - now)


@unbounded("the interrupt comes, or the guest gives up")
def take(wanted: u64) -> None:
    """The interrupt is pending already, mostly."""
    interrupt_window()
    if alarm.rings < wanted:
        wait_for_interrupt()
        interrupt_window()
    if alarm.rings < wanted:
        await_ring(wanted)
