# refuse: 10: has another signature than
from hv.lang import Final, Protocol, u32, u8


class Uart(Protocol):
    def put(self, byte: u8) -> None: ...


class Pl011(Uart):
    def put(self, byte: u32) -> None:
        pass


pl011: Final = Pl011()


def g(uart: Uart) -> None:
    uart.put(1)


def f() -> None:
    g(pl011)
