"""Turning the machine off and restarting it, by what PCs have for it, one way after the other."""

from hv.lang import Final, Never, address_of, u8, u16, unbounded
from hv.x86.cpu import breakpoint, in8, load_idt, out8, relax, stop_cpu
from hv.x86.descriptors import Pointer

RESET_CONTROL: Final[u16] = 0xCF9  # of the chipset
HARD_RESET: Final[u8] = 1 << 1
RESET_NOW: Final[u8] = 1 << 2
KEYBOARD_COMMAND: Final[u16] = 0x64
KEYBOARD_FULL: Final[u8] = 1 << 1
PULSE_RESET: Final[u8] = 0xFE
TRIES: Final = 100_000


@unbounded("the machine restarts")
def restart() -> Never:
    out8(RESET_CONTROL, HARD_RESET)
    out8(RESET_CONTROL, HARD_RESET | RESET_NOW)
    pause()
    for _ in range(TRIES):
        if in8(KEYBOARD_COMMAND) & KEYBOARD_FULL == 0:
            break
    out8(KEYBOARD_COMMAND, PULSE_RESET)
    pause()
    nothing = Pointer()
    load_idt(address_of(nothing))
    breakpoint()  # finds no way to be told, three times over
    while True:
        stop_cpu()


@unbounded("a machine that does not turn off stops")
def power_off() -> Never:
    while True:
        stop_cpu()


def pause() -> None:
    """The machine may need a moment."""
    for _ in range(TRIES):
        relax()
