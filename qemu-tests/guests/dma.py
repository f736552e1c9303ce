"""A guest that owns a PCI host bridge with QEMU's `edu` device behind it (QEMU, docs/specs/edu.rst), and lets that read
and write memory: its own, where each byte is checked, and then places that it has nothing at.

The words of its command line `at0=N` to `at3=N` are these places. With `again` it resets itself once, and its second
life does the same. Where the partition file puts the bridge: configuration space at ECAM, and at WINDOW what the bus
calls BUS.
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.arguments import argument
from guests.lib.cpu import complete_all
from guests.lib.ending import give_up
from guests.lib.hypercall import power_off, reset
from guests.lib.mmio import read16, read32, read64, write16, write32, write64
from guests.lib.text import line
from guests.lib.timer import counter, milliseconds
from guests.lib.uart import uart
from hv.lang import Final, export, u16, u32, u64, unbounded

ECAM: Final[u64] = 0x40_1000_0000
WINDOW: Final[u64] = 0x1_0000_0000
BUS: Final[u32] = 0x1000_0000
FUNCTION_BYTES: Final[u64] = 0x1000
FUNCTIONS: Final = 256  # of the first bus
EDU: Final[u32] = 0x11E8_1234
COMMAND: Final[u64] = 0x04
MEMORY_AND_MASTER: Final[u16] = 0b110
BAR0: Final[u64] = 0x10

INVERSE: Final[u64] = WINDOW + 0x04  # keeps the inverse of what is written, through resets of the guest
DMA_FROM: Final[u64] = WINDOW + 0x80
DMA_TO: Final[u64] = WINDOW + 0x88
DMA_BYTES: Final[u64] = WINDOW + 0x90
DMA_COMMAND: Final[u64] = WINDOW + 0x98
START: Final[u64] = 1
OUT: Final[u64] = 2  # from the device to memory
DEVICES_BUFFER: Final[u64] = 0x4_0000

SOURCE: Final[u64] = 0x4010_0000  # of the guest's memory
TARGET: Final[u64] = 0x4010_1000
BYTES: Final[u64] = 0x800  # less than its buffer has
WORDS: Final = 256
SECRET: Final[u64] = 0x5EC2_E75E_C2E7_0000  # how each word begins that another guest keeps (guests/watch.py)


@export
def guest_main(tree: u64) -> None:
    uart.init()
    find_edu()
    second = read32(INVERSE) != 0
    line("AGAIN dma" if second else "READY dma")
    write32(INVERSE, 1)
    move_own(3 if second else 5)
    line("MOVED dma")
    aim(argument(tree, "at0", 0))
    aim(argument(tree, "at1", 0))
    aim(argument(tree, "at2", 0))
    aim(argument(tree, "at3", 0))
    if argument(tree, "again", 0) != 0 and not second:
        reset()
    move_own(7)
    line("DONE dma ok")
    power_off()


def find_edu() -> None:
    for i in range(FUNCTIONS):
        function = ECAM + u64(i) * FUNCTION_BYTES
        if read32(function) == EDU:
            write16(function + COMMAND, 0)
            write32(function + BAR0, BUS)
            write16(function + COMMAND, MEMORY_AND_MASTER)
            if read16(function + COMMAND) & MEMORY_AND_MASTER != MEMORY_AND_MASTER:
                give_up("the device cannot be turned on")
            return
    give_up("there is no edu device on the bus")


def move_own(seed: u64) -> None:
    """From one place of its own through the device to another, which is a page that was cleared."""
    for i in range(WORDS):
        write64(SOURCE + u64(i) * 8, (u64(i) + 1) * seed * 0x0123_4567_89AB)
        write64(TARGET + u64(i) * 8, 0)
    transfer(SOURCE, DEVICES_BUFFER, START)
    transfer(DEVICES_BUFFER, TARGET, START | OUT)
    for i in range(WORDS):
        if read64(TARGET + u64(i) * 8) != (u64(i) + 1) * seed * 0x0123_4567_89AB:
            give_up(f"word {i} did not arrive")


def aim(at: u64) -> None:
    """Writes there, and reads from there, what is nobody's business. 0: nothing is to be done."""
    if at == 0:
        return
    transfer(DEVICES_BUFFER, at, START | OUT)
    transfer(at, DEVICES_BUFFER, START)
    transfer(DEVICES_BUFFER, TARGET, START | OUT)
    for i in range(WORDS):
        if read64(TARGET + u64(i) * 8) >> 16 == SECRET >> 16:
            give_up(f"a secret came from {at:#x}")
    line(f"AIMED at {at:#x}")


@unbounded("the device comes to an end, or the guest gives up")
def transfer(source: u64, target: u64, command: u64) -> None:
    complete_all()
    write64(DMA_FROM, source)
    write64(DMA_TO, target)
    write64(DMA_BYTES, BYTES)
    write64(DMA_COMMAND, command)
    began = counter()
    while read64(DMA_COMMAND) & START != 0:
        if counter() - began > milliseconds(5000):
            give_up("the device does not come to an end")
    complete_all()
