"""The guest's console: an SBSA UART (Arm DEN 0029, appendix B)."""

from guests.lib.registers import read32, write32
from hv.common.lib.format import Sink, render
from hv.lang import Final, Message, bounded, truncate, u8, u32, u64, unbounded

BASE: Final[u64] = 0x2200_0000
DR: Final[u64] = BASE
FR: Final[u64] = BASE + 0x18
IMSC: Final[u64] = BASE + 0x38
ICR: Final[u64] = BASE + 0x44

RECEIVER_EMPTY: Final[u32] = 1 << 4
SENDER_FULL: Final[u32] = 1 << 5
RECEIVE: Final[u32] = 1 << 4 | 1 << 6  # interrupts: enough bytes, or a time-out
LONGEST: Final = 4096


class Console(Sink):
    def put(self, text: str) -> None:
        for i in bounded(len(text), LONGEST):
            self.put_byte(ord(text[i]))

    @unbounded("the UART has room again")
    def put_byte(self, byte: u8) -> None:
        while read32(FR) & SENDER_FULL != 0:
            pass
        write32(DR, u32(byte))

    @property
    def has_input(self) -> bool:
        return read32(FR) & RECEIVER_EMPTY == 0

    def take(self) -> u8:
        """The byte that was typed; `has_input` said that there is one."""
        return truncate(u8, read32(DR))

    def let_interrupt(self) -> None:
        write32(IMSC, RECEIVE)


console: Final = Console()


def say(message: Message) -> None:
    """A line."""
    render(console, message)
    console.put("\r\n")


def ask(message: Message) -> None:
    """The beginning of a line."""
    render(console, message)
