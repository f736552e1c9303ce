# refuse: 10: has no method `get`
from hv.lang import Protocol, u8


class Uart(Protocol):
    def put(self, byte: u8) -> None: ...


def f(uart: Uart) -> None:
    uart.get()
