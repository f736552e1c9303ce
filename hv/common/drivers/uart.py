"""Serial ports: what a driver offers, and the table of drivers by what a device tree calls their hardware."""

from hv.lang import Callable, Final, Protocol, Registry, U8Enum, u64, value


class Mark(U8Enum):
    """Whose bytes are whose: all are the console's, or those with the highest bit set, or those with it clear."""

    NONE = 0
    HIGH = 1
    LOW = 2


class Uart(Protocol):
    def start(self, address: u64) -> None:
        """Takes over the UART whose registers are mapped at the address, as the firmware has set it up, and prints the
        console there."""
        ...

    def enable_input(self) -> None:
        """Lets the UART interrupt when bytes have come."""
        ...

    def interrupt(self) -> None:
        """Hands what has come to the console's input. For the interrupt's handler."""
        ...


@value
class UartDriver:
    compatible: str
    uart: Callable[[], Uart]


uart_drivers: Final = Registry[UartDriver]()
