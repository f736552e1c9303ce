"""Renesas' serial interface with FIFOs (R-Car Gen3 hardware manual, "Serial Communications Interface with FIFO").

Output waits for room in the FIFO, input comes by interrupt. Line speed and format stay as the firmware has set them. A
UART that never has room does not stop the hypervisor.

A flag of the two status registers is cleared by a zero, and only when it has been read as one; ones leave it.
"""

from hv.arch import read_device8, read_device16, write_device8, write_device16
from hv.common.drivers.uart import Patience, Uart, uart_drivers
from hv.common.kernel.console import SerialPort, console
from hv.common.kernel.console_input import received
from hv.lang import Final, u8, u16, u64

CONTROL: Final[u64] = 0x08  # SCSCR
SEND: Final[u64] = 0x0C  # SCFTDR, of 8 bits
STATUS: Final[u64] = 0x10  # SCFSR
RECEIVE: Final[u64] = 0x14  # SCFRDR, of 8 bits
FIFO_CONTROL: Final[u64] = 0x18  # SCFCR
HELD: Final[u64] = 0x1C  # SCFDR: the bytes in both FIFOs
LINE_STATUS: Final[u64] = 0x24  # SCLSR

# SCSCR
SEND_INTERRUPT: Final[u16] = 1 << 7
RECEIVE_INTERRUPTS: Final[u16] = 1 << 6  # of data, of errors and of breaks
TRANSMITTER: Final[u16] = 1 << 5
RECEIVER: Final[u16] = 1 << 4
ERROR_INTERRUPTS: Final[u16] = 1 << 3
TIMEOUT_INTERRUPT: Final[u16] = 1 << 2
EVERY_INTERRUPT: Final[u16] = SEND_INTERRUPT | RECEIVE_INTERRUPTS | ERROR_INTERRUPTS | TIMEOUT_INTERRUPT

# SCFSR
ERROR: Final[u16] = 1 << 7
BREAK: Final[u16] = 1 << 4
RECEIVED: Final[u16] = 1 << 1  # as many as SCFCR says
READY: Final[u16] = 1 << 0  # fewer, and nothing has come for a while
INPUT: Final[u16] = ERROR | BREAK | RECEIVED | READY

RECEIVE_TRIGGER: Final[u16] = 3 << 6  # of SCFCR; 0: one byte
OVERRUN: Final[u16] = 1 << 0  # of SCLSR; nothing is received while it is set
HELD_TO_SEND: Final = 8  # where SCFDR has the number of bytes; that of the received ones is at 0
COUNT: Final[u16] = 0x1F
FIFO: Final = 16
ONES: Final[u16] = 0xFFFF


class Scif(Uart, SerialPort):
    address: u64
    patience: Patience

    def start(self, address: u64) -> None:
        self.address = address
        control = read_device16(address + CONTROL) & ~EVERY_INTERRUPT
        write_device16(address + CONTROL, control | TRANSMITTER | RECEIVER)
        console.attach(self)

    def put(self, byte: u8) -> None:
        """A byte for which no room comes is lost."""
        for _ in self.patience.looks():
            if read_device16(self.address + HELD) >> HELD_TO_SEND & COUNT < FIFO:
                write_device8(self.address + SEND, byte)
                self.patience.rewarded()
                return

    def enable_input(self) -> None:
        write_device16(self.address + FIFO_CONTROL, read_device16(self.address + FIFO_CONTROL) & ~RECEIVE_TRIGGER)
        write_device16(self.address + CONTROL, read_device16(self.address + CONTROL) | RECEIVE_INTERRUPTS)

    def interrupt(self) -> None:
        """Takes what a FIFO holds. When more has come meanwhile, RECEIVED is set again as soon as it is cleared."""
        status = read_device16(self.address + STATUS)
        for _ in range(FIFO):
            if read_device16(self.address + HELD) & COUNT == 0:
                break
            received(read_device8(self.address + RECEIVE))
        write_device16(self.address + STATUS, ONES & ~(status & INPUT))
        if read_device16(self.address + LINE_STATUS) & OVERRUN != 0:
            write_device16(self.address + LINE_STATUS, ONES & ~OVERRUN)


port: Final = Scif()


@uart_drivers.entry(compatible="renesas,rcar-gen3-scif")
def rcar_gen3_scif() -> Uart:
    return port


@uart_drivers.entry(compatible="renesas,scif")
def renesas_scif() -> Uart:
    return port
