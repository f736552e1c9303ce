"""The guest's serial port: an SBSA UART, the data and interrupt part of a PL011.

Sources: Arm Server Base System Architecture (DEN 0029), appendix B; PL011 (DDI 0183), 3.3; its place in the guest
physical map and its interrupt: Xen, public/arch-arm.h, GUEST_PL011_BASE and GUEST_VPL011_SPI. A guest whose memory is
where the machine has it has it elsewhere, and says so by `move`.
"""

from guests.lib.mmio import read32, write32
from hv.common.lib.format import Sink
from hv.lang import Final, bounded, truncate, u8, u32, u64, unbounded

BASE: Final[u64] = 0x2200_0000
SIZE: Final[u64] = 0x1000
INTID: Final = 32

DATA: Final = BASE + 0x00
FLAGS: Final = BASE + 0x18
INTERRUPT_MASK: Final = BASE + 0x38
INTERRUPT_CLEAR: Final = BASE + 0x44

RECEIVE_EMPTY: Final[u32] = 1 << 4
TRANSMIT_FULL: Final[u32] = 1 << 5
RECEIVE: Final[u32] = 1 << 4  # interrupts: data has come
RECEIVE_TIMEOUT: Final[u32] = 1 << 6  # … and stayed a while
EVERY: Final[u32] = 0x7FF

LONGEST: Final = 1 << 16  # bytes written in one call


class Uart(Sink):
    """No interrupts until `receive_interrupts`; output waits until there is room."""

    moved: u64  # from its usual place

    def move(self, place: u64) -> None:
        self.moved = place - BASE

    def init(self) -> None:
        """Also brings it back from whatever was written to its registers."""
        write32(INTERRUPT_MASK + self.moved, 0)
        write32(INTERRUPT_CLEAR + self.moved, EVERY)

    def receive_interrupts(self) -> None:
        write32(INTERRUPT_MASK + self.moved, RECEIVE | RECEIVE_TIMEOUT)

    def acknowledge(self) -> None:
        write32(INTERRUPT_CLEAR + self.moved, RECEIVE | RECEIVE_TIMEOUT)

    def ready(self) -> bool:
        """Whether there is a byte to get."""
        return read32(FLAGS + self.moved) & RECEIVE_EMPTY == 0

    def get(self) -> u8:
        return truncate(u8, read32(DATA + self.moved))

    @unbounded("the other side takes what was written")
    def put_byte(self, byte: u8) -> None:
        while read32(FLAGS + self.moved) & TRANSMIT_FULL != 0:
            pass
        write32(DATA + self.moved, u32(byte))

    def put(self, text: str) -> None:
        """A line ends with a line feed alone: the hypervisor makes of it what a terminal wants."""
        for i in bounded(len(text), LONGEST):
            self.put_byte(ord(text[i]))


uart: Final = Uart()
