"""The first serial port of a PC, before it is known which ports the machine has."""

from hv.common.kernel.console import SerialPort
from hv.lang import Final, u8, u16
from hv.x86.cpu import in8, out8, relax

COM1: Final[u16] = 0x3F8
LINE_STATUS: Final[u16] = 5
ROOM: Final[u8] = 1 << 5
TRIES: Final = 1_000_000


class FirstPort(SerialPort):
    unused: u8

    def put(self, byte: u8) -> None:
        for _ in range(TRIES):
            if in8(COM1 + LINE_STATUS) & ROOM != 0:
                break
            relax()
        out8(COM1, byte)


first_port: Final = FirstPort()
