"""A guest with a watchdog of `timeout` seconds, which it pats `pats` times, a second apart. Without `pats` it hangs
instead, its interrupts masked.
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.arguments import argument
from guests.lib.ending import give_up
from guests.lib.hypercall import power_off, xen_call
from guests.lib.mmio import read64, write64
from guests.lib.text import line
from guests.lib.timer import counter, milliseconds
from guests.lib.uart import uart
from guests.watchdogs import SCHED_OP, WATCHDOG, Request, Watched, check, pat
from hv.lang import Final, address_of, export, u32, u64, unbounded

NOWHERE: Final[u64] = 0x7_0000_0000
AT: Final[u64] = 0x4080_0000
MARK: Final[u64] = 0x5EED_5EED_5EED_5EED
EVENT_CHANNEL_OP: Final[u64] = 32
ENOSYS: Final[u64] = ~u64(37)


class Guest(Watched):
    def call(self, address: u64) -> u64:
        return xen_call(SCHED_OP, WATCHDOG, address)

    def set(self, id: u32, seconds: u32) -> u64:
        request = Request()
        request.id = id
        request.timeout = seconds
        return self.call(address_of(request))

    @unbounded("time passes")
    def wait(self, time: u64) -> None:
        end = counter() + milliseconds(time)
        while counter() < end:
            pass


guest: Final = Guest()


@export
@unbounded("without pats it hangs")
def guest_main(address: u64) -> None:
    uart.init()
    if read64(AT) != 0:
        give_up("its memory is not clear")
    write64(AT, MARK)
    if xen_call(EVENT_CHANNEL_OP, 0, 0) != ENOSYS or xen_call(SCHED_OP | 1 << 32, WATCHDOG, 0) != ENOSYS:
        give_up("there are hypercalls that should not be there")
    if not check(guest, NOWHERE):
        give_up("a watchdog answers otherwise")
    line("READY watchdog")
    seconds = u32(argument(address, "timeout", 2))
    pats = argument(address, "pats", 0)
    if pats == 0:
        guest.set(0, seconds)
    while pats == 0:
        pass
    if not pat(guest, seconds, pats):
        give_up("a watchdog cannot be patted")
    line("DONE watchdog ok")
    power_off()
