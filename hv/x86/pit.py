"""The old interval timer (Intel 8254 data sheet): its channel 2 as a clock, which no interrupt comes from, and its
channel 0 as a source of interrupts.

A channel counts down from 65536 and begins anew: a round takes 55 ms.
"""

from hv.common.mm.physical import RegisterWindows
from hv.lang import Final, u8, u16, u64
from hv.x86.cpu import in8, out8
from hv.x86.reference import ReferenceClock

HERTZ: Final[u64] = 1_193_182
CHANNEL_0: Final[u16] = 0x40
CHANNEL_2: Final[u16] = 0x42
COMMAND: Final[u16] = 0x43
CONTROL: Final[u16] = 0x61
GATE: Final[u8] = 1 << 0
SPEAKER: Final[u8] = 1 << 1
RATE_0: Final[u8] = 0x34  # channel 0, both bytes, mode 2
RATE_2: Final[u8] = 0xB4  # channel 2, both bytes, mode 2
LATCH_2: Final[u8] = 0x80


class Pit(ReferenceClock):
    unused: u8

    def start(self) -> None:
        out8(CONTROL, in8(CONTROL) & ~SPEAKER | GATE)
        out8(COMMAND, RATE_2)
        out8(CHANNEL_2, 0)
        out8(CHANNEL_2, 0)

    def name(self) -> str:
        return "PIT"

    def frequency(self) -> u64:
        return HERTZ

    def mask(self) -> u64:
        return 0xFFFF

    def read(self) -> u64:
        out8(COMMAND, LATCH_2)
        low = in8(CHANNEL_2)
        left = u64(low) | u64(in8(CHANNEL_2)) << 8
        return 0 - left & 0xFFFF

    def leave(self, windows: RegisterWindows) -> None:
        """It is at ports."""


pit: Final = Pit()


def start_ticks() -> None:
    """Channel 0 interrupts once in a round from now on."""
    out8(COMMAND, RATE_0)
    out8(CHANNEL_0, 0)
    out8(CHANNEL_0, 0)
