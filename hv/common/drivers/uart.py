"""Serial ports: what a driver offers, and the table of drivers by what a device tree calls their hardware."""

from hv.arch import relax
from hv.common.lib.fdt import Node
from hv.lang import Callable, Final, Iterator, Protocol, Registry, U8Enum, bounded, embedded, u32, u64, value

LOOKS: Final[u32] = 1_000_000


class Mark(U8Enum):
    """Whose bytes are whose: all are the console's, or those with the highest bit set, or those with it clear."""

    NONE = 0
    HIGH = 1
    LOW = 2


@embedded
class Patience:
    """How long a driver waits for room. A UART that has kept it waiting LOOKS times is looked at once from then on,
    until there is room again: nobody may be listening at the other end."""

    spent: bool

    def looks(self) -> Iterator[u32]:
        for i in bounded(1 if self.spent else LOOKS, LOOKS):
            yield i
            relax()
        self.spent = True

    def rewarded(self) -> None:
        """There was room."""
        self.spent = False


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


def uart_of(node: Node) -> Uart | None:
    """By the first driver that knows what the node says it is compatible with."""
    for driver in uart_drivers:
        if node.is_compatible(driver.compatible):
            return driver.uart()
    return None
