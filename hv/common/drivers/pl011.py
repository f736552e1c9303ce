"""The PL011 UART, and the SBSA generic UART, which is a part of it (Arm DDI 0183, 3.3; Arm DEN 0029, appendix B).

Output waits for room in the FIFO; input comes by interrupt. Line speed and format stay as the firmware has set them.
"""

from hv.arch import read_device32, relax, write_device32
from hv.common.drivers.uart import Uart, uart_drivers
from hv.common.kernel.console import SerialPort, console
from hv.common.kernel.console_input import received
from hv.lang import Final, truncate, u8, u32, u64, unbounded

DR: Final[u64] = 0x00
FR: Final[u64] = 0x18
IMSC: Final[u64] = 0x38
ICR: Final[u64] = 0x44

RECEIVE_EMPTY: Final[u32] = 1 << 4
TRANSMIT_FULL: Final[u32] = 1 << 5
RECEIVED: Final[u32] = 1 << 4  # the FIFO has filled to its mark
RECEIVE_TIMEOUT: Final[u32] = 1 << 6  # it holds less, and nothing has come for a while
EVERY_INTERRUPT: Final[u32] = 0x7FF
FIFO: Final = 64  # bytes taken at one interrupt, at most; it comes again when there are more


class Pl011(Uart, SerialPort):
    address: u64

    def start(self, address: u64) -> None:
        self.address = address
        write_device32(address + IMSC, 0)
        write_device32(address + ICR, EVERY_INTERRUPT)
        console.attach(self)

    @unbounded("the UART sends what it holds")
    def put(self, byte: u8) -> None:
        while read_device32(self.address + FR) & TRANSMIT_FULL != 0:
            relax()
        write_device32(self.address + DR, u32(byte))

    def enable_input(self) -> None:
        write_device32(self.address + IMSC, RECEIVED | RECEIVE_TIMEOUT)

    def interrupt(self) -> None:
        for _ in range(FIFO):
            if read_device32(self.address + FR) & RECEIVE_EMPTY != 0:
                break
            received(truncate(u8, read_device32(self.address + DR)))
        write_device32(self.address + ICR, RECEIVE_TIMEOUT)


port: Final = Pl011()


@uart_drivers.entry(compatible="arm,pl011")
def pl011() -> Uart:
    return port


@uart_drivers.entry(compatible="arm,sbsa-uart")
def sbsa_uart() -> Uart:
    return port
