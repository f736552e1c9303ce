"""A guest's UART: the SBSA generic UART, which is a part of Arm's PL011 (Arm DEN 0029, appendix B; DDI 0183).

What the guest sends goes to the console at once, so its transmitter is always ready. What is typed waits in a FIFO,
which is deeper than the 32 bytes of a real one: a line that is pasted comes faster than a guest that shares its CPU
takes it. What finds no room is lost, and the guest is told. Registers that an SBSA UART has not read as zero and ignore
writes.

`Vpl011.lock` protects the FIFO and the interrupt bits; the flag register is read without it, since it shows a moment
anyway.
"""

from hv.arm64.guest_map import places_of
from hv.arm64.vgic_state import Notices, Vgic
from hv.arm64.virq import set_line_held
from hv.common.kernel.console import ConsoleClient, GuestConsole
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.lib.ring import Ring
from hv.common.model.domain import Domain
from hv.lang import Embedded, Extension, Final, truncate, u8, u16, u32, u64

FIFO: Final = 1024
LEVEL: Final[u32] = 16  # bytes from which the receive interrupt is raised; the time-out tells of fewer

# Registers
DR: Final = 0x000  # data
RSR: Final = 0x004  # receive status; a write clears it
FR: Final = 0x018  # flags
IMSC: Final = 0x038  # which interrupts are let through
RIS: Final = 0x03C  # interrupts before the mask
MIS: Final = 0x040  # and behind it
ICR: Final = 0x044  # a one clears an interrupt
IDS: Final[u64] = 0xFE0

# Flags
RECEIVER_EMPTY: Final[u64] = 1 << 4
RECEIVER_FULL: Final[u64] = 1 << 6
SENDER_EMPTY: Final[u64] = 1 << 7

# Interrupts
RECEIVE: Final[u32] = 1 << 4
SEND: Final[u32] = 1 << 5
TIME_OUT: Final[u32] = 1 << 6
OVERRUN: Final[u32] = 1 << 10
INTERRUPTS: Final[u32] = 0x7FF

OVERRUN_STATUS: Final[u32] = 1 << 3
OVERRUN_DATA: Final[u16] = 1 << 11


class Vpl011(Extension[Domain], ConsoleClient):
    lock: SpinLock[Rank.VUART]
    domain: Domain
    fifo: Ring[u16, FIFO]  # bytes as the data register shows them, with the bits that tell of errors
    lost: bool  # something before the byte that comes next
    raised: u32
    mask: u32
    interrupt: u32
    status: u32
    console: Embedded[GuestConsole]

    def init(self, owner: Domain) -> None:
        self.domain = owner
        self.interrupt = places_of(owner.config).uart_interrupt
        if owner.config.uart:
            self.console.add(u32(owner.id), owner.name, self)

    def teardown(self, owner: Domain) -> None:
        if owner.config.uart:
            self.console.remove()

    def deliver(self, byte: u8) -> None:
        """A byte was typed."""
        notices = Notices()
        with self.lock as held:
            if self.fifo.put(u16(byte) | (OVERRUN_DATA if self.lost else 0)):
                self.lost = False
                self.raised |= TIME_OUT
                if len(self.fifo) >= LEVEL:
                    self.raised |= RECEIVE
            else:
                self.lost = True
                self.raised |= OVERRUN
                self.status |= OVERRUN_STATUS
            self._update(held, notices)
        notices.deliver(self.domain)

    def read(self, offset: u64) -> u64:
        match offset:
            case 0x018:
                return self._flags()
            case 0x000:
                return u64(self._receive())
            case 0x004:
                return u64(self.status)
            case 0x038:
                return u64(self.mask)
            case 0x03C:
                return u64(self.raised)
            case 0x040:
                return u64(self.raised & self.mask)
            case _:
                return _id(offset) if offset >= IDS else 0

    def write(self, offset: u64, value: u32) -> None:
        if offset == DR:
            self.console.write(truncate(u8, value))
        notices = Notices()
        with self.lock as held:
            match offset:
                case 0x000:
                    self.raised |= SEND  # it is sent already
                case 0x004:
                    self.status = 0
                case 0x038:
                    self.mask = value & INTERRUPTS
                case 0x044:
                    self.raised &= ~value
                case _:
                    pass
            self._update(held, notices)
        notices.deliver(self.domain)

    def _flags(self) -> u64:
        length = len(self.fifo)
        flags = SENDER_EMPTY
        if length == 0:
            flags |= RECEIVER_EMPTY
        elif length == FIFO:
            flags |= RECEIVER_FULL
        return flags

    def _receive(self) -> u32:
        """Takes a byte out of the FIFO; zero when there is none. The bits above the byte tell of errors: the one that
        came first after some were lost says so (DDI 0183, "Overrun bit").
        """
        notices = Notices()
        byte: u32 = 0
        with self.lock as held:
            if not self.fifo.empty:
                byte = u32(self.fifo.get())
                if len(self.fifo) < LEVEL:
                    self.raised &= ~RECEIVE
                if self.fifo.empty:
                    self.raised &= ~TIME_OUT
                self._update(held, notices)
        notices.deliver(self.domain)
        return byte

    def _update(self, held: Held[Rank.VUART], notices: Notices) -> None:
        """Tells the interrupt controller what the output is now. Under this lock, so that the last word is the right
        one.
        """
        vgic = Vgic.of(self.domain)
        with vgic.lock as controller:
            set_line_held(controller, vgic, self.interrupt, self.raised & self.mask != 0, notices)


def _id(offset: u64) -> u64:
    """UARTPeriphID0-3 and UARTPCellID0-3 of a PL011, revision 1.5."""
    match offset:
        case 0xFE0:
            return 0x11
        case 0xFE4:
            return 0x10
        case 0xFE8:
            return 0x34
        case 0xFF0:
            return 0x0D
        case 0xFF4:
            return 0xF0
        case 0xFF8:
            return 0x05
        case 0xFFC:
            return 0xB1
        case _:
            return 0
