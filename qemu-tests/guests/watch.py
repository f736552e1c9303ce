"""A guest that keeps secrets, and tells whether they are as they were: a MiB of words that each begin alike. It looks
at them once in 50 ms, and says so once in a second.
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.ending import give_up
from guests.lib.gic import gic
from guests.lib.mmio import read64, write64
from guests.lib.text import line
from guests.lib.timer import INTID, milliseconds, sleep
from guests.lib.uart import uart
from hv.lang import Final, export, u64, unbounded

SECRET: Final[u64] = 0x5EC2_E75E_C2E7_0000
AT: Final[u64] = 0x4080_0000
WORDS: Final = 1 << 17
STEP: Final = 64  # words that are passed by: one in each 512 bytes is looked at
LOOKS: Final = 20  # a second


@export
@unbounded("until it is switched off")
def guest_main(tree: u64) -> None:
    uart.init()
    gic.init()
    gic.init_cpu()
    gic.enable(INTID)
    for i in range(WORDS):
        write64(AT + u64(i) * 8, SECRET | u64(i % 0x1_0000))
    line("READY watch")
    while True:
        for _ in range(LOOKS):
            look()
            sleep(milliseconds(50))
        line("WATCHED watch")


def look() -> None:
    for i in range(0, WORDS, STEP):
        if read64(AT + u64(i) * 8) != SECRET | u64(i % 0x1_0000):
            give_up(f"word {i} has changed")
