"""The 16550 UART, at I/O ports or in memory (TI PC16550D data sheet, 8.0).

Speed and format stay as the firmware has set them. Output waits for room in the FIFO, input comes by interrupt. A UART
that never has room, since there is none or nobody listens, does not stop the hypervisor.
"""

from hv.arch import read_device8, read_port8, relax, write_device8, write_port8
from hv.common.drivers.uart import Uart, uart_drivers
from hv.common.kernel.console import SerialPort, console
from hv.common.kernel.console_input import received
from hv.lang import Final, u8, u16, u32, u64

DATA: Final[u32] = 0
INTERRUPTS: Final[u32] = 1
FIFO_CONTROL: Final[u32] = 2
LINE_CONTROL: Final[u32] = 3
MODEM_CONTROL: Final[u32] = 4
LINE_STATUS: Final[u32] = 5

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


class Ns16550(Uart, SerialPort):
    port: u16
    address: u64  # of the registers in memory; 0: they are ports
    stride: u32  # logarithm of the distance between registers in memory
    held: u32  # bytes given to the FIFO since it was last seen empty
    silent: bool  # it never had room

    def start(self, address: u64) -> None:
        self.address = address
        self._take_over()

    def start_ports(self, port: u16) -> bool:
        """False: there is no UART."""
        self.port = port
        if self.read(LINE_STATUS) == NOTHING:
            return False
        self._take_over()
        return True

    def _take_over(self) -> None:
        self.write(LINE_CONTROL, self.read(LINE_CONTROL) & ~DIVISOR_ACCESS)
        self.write(INTERRUPTS, 0)
        self.write(FIFO_CONTROL, FIFOS_ON)
        self.write(MODEM_CONTROL, OUTPUTS)
        self.held = FIFO
        console.attach(self)

    def read(self, register: u32) -> u8:
        if self.address == 0:
            return read_port8(self.port + u16(register))
        return read_device8(self.address + (u64(register) << self.stride))

    def write(self, register: u32, value: u8) -> None:
        if self.address == 0:
            write_port8(self.port + u16(register), value)
        else:
            write_device8(self.address + (u64(register) << self.stride), value)

    def put(self, byte: u8) -> None:
        """Waits for an empty FIFO, and then fills it before it looks again. A line's end waits until all has left: the
        machine may be turned off next."""
        if self.held == FIFO:
            self._wait(ROOM)
            self.held = 0
        self.write(DATA, byte)
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
        for _ in range(FIFO):
            if self.read(LINE_STATUS) & READY == 0:
                break
            received(self.read(DATA))


port: Final = Ns16550()


@uart_drivers.entry(compatible="ns16550a")
def ns16550a() -> Uart:
    return port


@uart_drivers.entry(compatible="ns16550")
def ns16550() -> Uart:
    return port
