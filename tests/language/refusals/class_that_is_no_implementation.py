# refuse: 27: where Uart is wanted
from hv.lang import Final, Protocol, u8


class Uart(Protocol):
    def put(self, byte: u8) -> None: ...


class Pl011(Uart):
    def put(self, byte: u8) -> None:
        pass


class Other:
    def put(self, byte: u8) -> None:
        pass


other: Final = Other()


def g(uart: Uart) -> None:
    uart.put(1)


def f() -> None:
    g(other)
