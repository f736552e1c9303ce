"""The Cadence UART, as in Xilinx' Zynq and Zynq UltraScale+ (UG1085, "UART Controllers"; UG1087, module UART).

Output waits for room in the FIFO, input comes by interrupt. Line speed and format stay as the firmware has set them. A
UART that never has room does not stop the hypervisor.
"""

from hv.arch import read_device32, write_device32
from hv.common.drivers.uart import Patience, Uart, uart_drivers
from hv.common.kernel.console import SerialPort, console
from hv.common.kernel.console_input import received
from hv.lang import Final, truncate, u8, u32, u64

CONTROL: Final[u64] = 0x00
ENABLE: Final[u64] = 0x08  # interrupts by ones
DISABLE: Final[u64] = 0x0C
HAPPENED: Final[u64] = 0x14  # interrupts, whether enabled or not; ones clear
TIMEOUT: Final[u64] = 0x1C  # in units of four bits' time
TRIGGER: Final[u64] = 0x20  # bytes in the FIFO
STATUS: Final[u64] = 0x2C
FIFO: Final[u64] = 0x30

RECEIVER_ON: Final[u32] = 1 << 2
RECEIVER_OFF: Final[u32] = 1 << 3
TRANSMITTER_ON: Final[u32] = 1 << 4
TRANSMITTER_OFF: Final[u32] = 1 << 5
RESTART_TIMEOUT: Final[u32] = 1 << 6

TRIGGERED: Final[u32] = 1 << 0
TIMED_OUT: Final[u32] = 1 << 8
EVERY_INTERRUPT: Final[u32] = 0x3FFF

RECEIVE_EMPTY: Final[u32] = 1 << 1
TRANSMIT_FULL: Final[u32] = 1 << 4

FIFO_BYTES: Final = 64
QUIET: Final[u32] = 10


class CadenceUart(Uart, SerialPort):
    address: u64
    patience: Patience

    def start(self, address: u64) -> None:
        self.address = address
        write_device32(address + DISABLE, EVERY_INTERRUPT)
        write_device32(address + HAPPENED, EVERY_INTERRUPT)
        control = read_device32(address + CONTROL) & ~(RECEIVER_OFF | TRANSMITTER_OFF)
        write_device32(address + CONTROL, control | RECEIVER_ON | TRANSMITTER_ON)
        console.attach(self)

    def put(self, byte: u8) -> None:
        """A byte for which no room comes is lost."""
        for _ in self.patience.looks():
            if read_device32(self.address + STATUS) & TRANSMIT_FULL == 0:
                write_device32(self.address + FIFO, u32(byte))
                self.patience.rewarded()
                return

    def enable_input(self) -> None:
        write_device32(self.address + TRIGGER, 1)
        write_device32(self.address + TIMEOUT, QUIET)
        self._restart_timeout()
        write_device32(self.address + ENABLE, TRIGGERED | TIMED_OUT)

    def interrupt(self) -> None:
        """Takes what a FIFO holds. What has come meanwhile raised the interrupt again; of a flood that is left, the
        timeout tells when it ends."""
        write_device32(self.address + HAPPENED, TRIGGERED | TIMED_OUT)
        for _ in range(FIFO_BYTES):
            if read_device32(self.address + STATUS) & RECEIVE_EMPTY != 0:
                return
            received(truncate(u8, read_device32(self.address + FIFO)))
        self._restart_timeout()

    def _restart_timeout(self) -> None:
        write_device32(self.address + CONTROL, read_device32(self.address + CONTROL) | RESTART_TIMEOUT)


port: Final = CadenceUart()


@uart_drivers.entry(compatible="cdns,uart-r1p12")
def cadence_r1p12() -> Uart:
    return port


@uart_drivers.entry(compatible="xlnx,xuartps")
def xuartps() -> Uart:
    return port
