"""A guest with a watchdog of `timeout` seconds, which it pats `pats` times, a second apart. Without `pats` it hangs
instead, its interrupts masked.
"""

from guests.watchdogs import SCHED_OP, WATCHDOG, Request, Watched, check, pat
from guests.x86.lib.arguments import argument
from guests.x86.lib.cpu import timestamp
from guests.x86.lib.events import frequency, take_events
from guests.x86.lib.hypercall import POWER_OFF, end, hypercall
from guests.x86.lib.text import line
from hv.lang import Final, Message, Never, address_of, export, u32, u64, unbounded

NOWHERE: Final[u64] = 0x7000_0000
EVENT: Final[u64] = 0x50  # vector


class Guest(Watched):
    def call(self, address: u64) -> u64:
        return hypercall(SCHED_OP, WATCHDOG, address, 0)

    def set(self, id: u32, seconds: u32) -> u64:
        request = Request()
        request.id = id
        request.timeout = seconds
        return self.call(address_of(request))

    @unbounded("time passes")
    def wait(self, time: u64) -> None:
        over = timestamp() + frequency() // 1000 * time
        while timestamp() < over:
            pass


guest: Final = Guest()


@export
@unbounded("without pats it hangs")
def guest_main(information: u64) -> None:
    if not take_events(EVENT):
        fail("it has no time")
    if not check(guest, NOWHERE):
        fail("a watchdog answers otherwise")
    line("READY watchdog")
    seconds = u32(argument(information, "timeout", 2))
    pats = argument(information, "pats", 0)
    if pats == 0:
        guest.set(0, seconds)
    while pats == 0:
        pass
    if not pat(guest, seconds, pats):
        fail("a watchdog cannot be patted")
    line("DONE watchdog ok")
    end(POWER_OFF)


def fail(why: Message) -> Never:
    line(why)
    line("DONE watchdog fail")
    end(POWER_OFF)
