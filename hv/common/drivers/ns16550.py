"""The 16550 UART, at I/O ports or in memory (TI PC16550D data sheet, 8.0).

Speed and format stay as the firmware has set them, unless `set_line` says otherwise. Output waits for room in the FIFO,
input comes by interrupt or when it is polled. A UART that never has room, since there is none or nobody listens, does
not stop the hypervisor.

Two programs can share a line by the highest bit of each byte (`Mark`).
"""

from hv.arch import (
    read_device8,
    read_device32,
    read_port8,
    relax,
    write_device8,
    write_device32,
    write_port8,
)
from hv.common.drivers.uart import Mark, Uart, uart_drivers
from hv.common.kernel.console import SerialPort, console
from hv.common.kernel.console_input import received
from hv.lang import Final, truncate, u8, u16, u32, u64

DATA: Final[u32] = 0
INTERRUPTS: Final[u32] = 1
FIFO_CONTROL: Final[u32] = 2
LINE_CONTROL: Final[u32] = 3
MODEM_CONTROL: Final[u32] = 4
LINE_STATUS: Final[u32] = 5
DIVISOR_LOW: Final[u32] = 0  # these two while DIVISOR_ACCESS is set
DIVISOR_HIGH: Final[u32] = 1
REGISTERS: Final = 8

FIFOS_ON: Final[u8] = 0x07  # both cleared, an interrupt at each byte
DIVISOR_ACCESS: Final[u8] = 1 << 7
OUTPUTS: Final[u8] = 0x0B  # ready, and OUT2: on a PC it lets the interrupt through
RECEIVED: Final[u8] = 1 << 0
READY: Final[u8] = 1 << 0
ROOM: Final[u8] = 1 << 5
ALL_SENT: Final[u8] = 1 << 6
LINE_END: Final[u8] = 0x0A
NOTHING: Final[u8] = 0xFF
FIFO: Final = 16
TRIES: Final = 1_000_000
HIGHEST_BIT: Final[u8] = 0x80


class Ns16550(Uart, SerialPort):
    """First `at_ports` or `in_memory`, then `take_over` when it `answers`."""

    port: u16
    address: u64  # of the registers in memory; 0: they are ports
    shift: u32  # logarithm of the distance between registers in memory
    wide: bool  # registers in memory are accessed by 32 bits
    mark: Mark
    held: u32  # bytes given to the FIFO since it was last seen empty
    silent: bool  # it never had room

    def at_ports(self, port: u16) -> None:
        self.port = port
        self.address = 0

    def in_memory(self, address: u64, shift: u32, wide: bool) -> None:
        """Its registers are mapped there, REGISTERS << shift bytes."""
        self.address = address
        self.shift = shift
        self.wide = wide

    def is_at(self, other: "Ns16550") -> bool:
        """Whether both are the same UART. Windows to its registers differ."""
        return self.address == 0 and other.address == 0 and self.port == other.port

    def move_to(self, other: "Ns16550") -> None:
        """To where another one is."""
        self.port = other.port
        self.address = other.address
        self.shift = other.shift
        self.wide = other.wide

    @property
    def answers(self) -> bool:
        """Whether there is a UART."""
        return self.read(LINE_STATUS) != NOTHING

    def start(self, address: u64) -> None:
        self.in_memory(address, 0, False)
        self.take_over()

    def take_over(self) -> None:
        """Prints the console there from now on."""
        self.write(LINE_CONTROL, self.read(LINE_CONTROL) & ~DIVISOR_ACCESS)
        self.write(INTERRUPTS, 0)
        self.write(FIFO_CONTROL, FIFOS_ON)
        self.write(MODEM_CONTROL, OUTPUTS)
        self.held = FIFO
        self.silent = False
        console.attach(self)

    def set_line(self, divisor: u16, frame: u8) -> None:
        """The speed, as a part of the UART's highest, and what the line control register says of a byte's bits. Before
        `take_over`."""
        self._wait(ALL_SENT)  # what firmware or boot loader has left in the FIFO leaves at the old speed
        self.write(LINE_CONTROL, frame | DIVISOR_ACCESS)
        self.write(DIVISOR_LOW, truncate(u8, divisor))
        self.write(DIVISOR_HIGH, u8(divisor >> 8))
        self.write(LINE_CONTROL, frame)

    def read(self, register: u32) -> u8:
        if self.address == 0:
            return read_port8(self.port + u16(register))
        at = self.address + (u64(register) << self.shift)
        return truncate(u8, read_device32(at)) if self.wide else read_device8(at)

    def write(self, register: u32, value: u8) -> None:
        if self.address == 0:
            write_port8(self.port + u16(register), value)
            return
        at = self.address + (u64(register) << self.shift)
        if self.wide:
            write_device32(at, u32(value))
        else:
            write_device8(at, value)

    def put(self, byte: u8) -> None:
        """Waits for an empty FIFO, and then fills it before it looks again. A line's end waits until all has left: the
        machine may be turned off next."""
        if self.held == FIFO:
            self._wait(ROOM)
            self.held = 0
        self.write(DATA, self._marked(byte))
        self.held += 1
        if byte == LINE_END:
            self._wait(ALL_SENT)
            self.held = 0

    def _wait(self, state: u8) -> None:
        if self.silent:
            return
        for _ in range(TRIES):
            if self.read(LINE_STATUS) & state != 0:
                return
            relax()
        self.silent = True

    def enable_input(self) -> None:
        self.write(INTERRUPTS, RECEIVED)

    def interrupt(self) -> None:
        """Takes what a FIFO holds. If more has come meanwhile the interrupt comes again: its line falls and rises,
        since where an edge triggers it, as on a PC, one that stays up would be the last.
        """
        for _ in range(FIFO):
            if self.read(LINE_STATUS) & READY == 0:
                return
            self._receive(self.read(DATA))
        enabled = self.read(INTERRUPTS)
        self.write(INTERRUPTS, 0)
        self.write(INTERRUPTS, enabled)

    def _receive(self, byte: u8) -> None:
        """Takes what is marked as the console's, without the mark."""
        high = byte & HIGHEST_BIT != 0
        match self.mark:
            case Mark.NONE:
                received(byte)
            case Mark.HIGH:
                if high:
                    received(byte & ~HIGHEST_BIT)
            case Mark.LOW:
                if not high:
                    received(byte)

    def _marked(self, byte: u8) -> u8:
        match self.mark:
            case Mark.NONE:
                return byte
            case Mark.HIGH:
                return byte | HIGHEST_BIT
            case Mark.LOW:
                return byte & ~HIGHEST_BIT


port: Final = Ns16550()
second_port: Final = Ns16550()


@uart_drivers.entry(compatible="ns16550a")
def ns16550a() -> Uart:
    return port


@uart_drivers.entry(compatible="ns16550")
def ns16550() -> Uart:
    return port
