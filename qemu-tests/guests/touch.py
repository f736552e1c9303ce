"""A guest that reads and writes where it is told, and says what came of it: the word of its command line at=N."""

from guests.lib.arguments import argument
from guests.lib.exceptions import SYNCHRONOUS, TrapFrame, handlers
from guests.lib.hypercall import power_off
from guests.lib.mmio import read16, read32, write32
from guests.lib.text import line
from guests.lib.uart import uart
from hv.lang import Final, export, u64


class Touched:
    aborted: bool


touched: Final = Touched()


@handlers.entry()
def survive(frame: TrapFrame) -> bool:
    """What follows the instruction goes on."""
    if frame.vector != SYNCHRONOUS:
        return False
    touched.aborted = True
    frame.pc += 4
    return True


@export
def guest_main(tree: u64) -> None:
    uart.init()
    at = argument(tree, "at", 0)
    word = u64(read32(at))
    tell("read 4", word)
    half = u64(read16(at + 2))
    tell("read 2", half)
    write32(at, 0)
    tell("write 4", 0)
    line("DONE touch ok")
    power_off()


def tell(what: str, result: u64) -> None:
    if touched.aborted:
        line(f"{what}: abort")
    else:
        line(f"{what}: {result:#x}")
    touched.aborted = False
