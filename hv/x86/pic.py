"""The two old interrupt controllers, which are only kept quiet (Intel 8259A data sheet).

They are given vectors of their own first, since a controller that is masked may still raise its lowest priority by
mistake.
"""

from hv.lang import Final, u8, u16
from hv.x86.cpu import out8
from hv.x86.vectors import LEGACY

FIRST: Final[u16] = 0x20
SECOND: Final[u16] = 0xA0
MASKS: Final[u16] = 1  # behind the command port
INITIALISE: Final[u8] = 0x11  # four words follow
SECOND_AT_2: Final[u8] = 1 << 2
SECOND_IS_2: Final[u8] = 2
MODE_8086: Final[u8] = 1
ALL: Final[u8] = 0xFF


def silence() -> None:
    start(FIRST, LEGACY, SECOND_AT_2)
    start(SECOND, LEGACY + 8, SECOND_IS_2)
    out8(FIRST + MASKS, ALL)
    out8(SECOND + MASKS, ALL)


def start(port: u16, vector: u8, cascade: u8) -> None:
    out8(port, INITIALISE)
    out8(port + MASKS, vector)
    out8(port + MASKS, cascade)
    out8(port + MASKS, MODE_8086)
