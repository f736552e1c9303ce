# refuse: 9: does not implement
from hv.lang import Final, Protocol, u64, u8


class Uart(Protocol):
    def put(self, byte: u8) -> None: ...


class Pl011(Uart):
    base: u64


pl011: Final = Pl011()


def g(uart: Uart) -> None:
    uart.put(1)


def f() -> None:
    g(pl011)
