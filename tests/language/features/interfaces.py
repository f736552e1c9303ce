"""Interfaces with several implementations: calls go through a table."""

from hv.lang import Errno, Final, Protocol, array, raises, u8, u32, u64


class Uart(Protocol):
    def put(self, byte: u8) -> u64: ...

    @raises
    def get(self, limit: u32 = 5) -> u8: ...

    def name(self) -> str: ...


class Pl011(Uart):
    base: u64
    last: u8

    def put(self, byte: u8) -> u64:
        self.last = byte
        return self.base + u64(byte)

    @raises
    def get(self, limit: u32 = 5) -> u8:
        if u32(self.last) > limit:
            raise Errno.EAGAIN
        return self.last

    def name(self) -> str:
        return "pl011"


class Ns16550(Uart):
    count: u32

    def put(self, byte: u8) -> u64:
        self.count += 1
        return u64(self.count) * 1000

    @raises
    def get(self, limit: u32 = 5) -> u8:
        return u8(self.count + limit)

    def name(self) -> str:
        return "ns"


class Console:
    uart: Uart
    spare: Uart | None
    all: array[Uart | None, 3]


pl011: Final = Pl011()
ns16550: Final = Ns16550()
console: Final = Console()
chosen: Uart | None = None
static: Final[array[Uart, 2]] = array(ns16550, pl011)


def send(uart: Uart, byte: u8) -> u64:
    return uart.put(byte)


def pick(first: bool) -> Uart:
    if first:
        return pl011
    return ns16550


@raises
def read_both(limit: u32) -> u64:
    return u64(pl011.get(limit)) + u64(pick(True).get(limit=limit)) + u64(pick(False).get())


def test_calls() -> u64:
    pl011.base = 100
    return send(pl011, 5) + send(ns16550, 5) + send(pick(False), 200)


def test_fields() -> u64:
    console.uart = ns16550
    before = console.spare is None
    console.spare = console.uart
    console.uart = pl011
    total = console.uart.put(7)
    spare = console.spare
    if spare is not None:
        total += spare.put(1)
    return total * 10 + u64(before)


def test_names() -> u64:
    return len(pick(True).name()) * 10 + len(pick(False).name())


def test_identity() -> u64:
    uart = pick(True)
    return u64(uart is pl011) + u64(uart is pick(True)) * 2 + u64(pick(False) is uart) * 4


def test_table() -> u64:
    console.all[1] = pl011
    total: u64 = 0
    for uart in console.all:
        if uart is not None:
            total += uart.put(9)
    for uart in static:
        total += uart.put(1)
    return total


def test_variable() -> u64:
    global chosen
    before = chosen is None
    chosen = pl011
    if chosen is None:
        return 0
    return chosen.put(4) + u64(before) * 1000


def calc_errors(last: u8, limit: u32) -> u64:
    pl011.last = last
    ns16550.count = 3
    try:
        return read_both(limit)
    except Errno as e:
        return u64(u32(e.code)) * 1_000_000
