"""The end of a unikernel that cannot go on."""

from guests.lib.hypercall import power_off
from guests.lib.text import line, write
from guests.lib.uart import uart
from hv.lang import Message, Never


def give_up(why: Message) -> Never:
    uart.init()
    write("\nDONE guest fail ")
    line(why)
    power_off()
