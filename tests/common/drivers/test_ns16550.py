"""The 16550: waiting for its FIFO, a line's end that waits until all is sent, speed, input by interrupt, a line shared
with another program, and a port where no UART is, against a model of its registers at I/O ports and in memory."""

from collections import deque

import pytest

from tests.common.host import host

UART = "hv.common.drivers.ns16550."
COM1 = 0x3F8
ROOM, SENT, READY = 1 << 5, 1 << 6, 1 << 0
STATES = ("hv.common.kernel.console.console", "hv.common.kernel.console_input.console_input", "hv.sim.machine.machine")


AT = 0xFE03_6000
NONE, HIGH, LOW = 0, 1, 2


class Model:
    """Sends a byte at every third look at its state; loses what is written to a full FIFO. At ports, or in memory with
    registers `1 << shift` bytes apart."""

    def __init__(self, shift: int | None = None, beside: bool = False) -> None:
        self.fifo: deque[int] = deque()
        self.sent = bytearray()
        self.typed: deque[int] = deque()
        self.registers = {1: 0xFF, 3: 0x83, 4: 0}
        self.divisor = {0: 12, 1: 0}
        self.looks = 0
        self.edges = 0
        self.stuck = False
        self.shift = shift
        machine = host().variable("hv.sim.machine.machine") if beside else host().cleared("hv.sim.machine.machine")
        ffi = host().ffi
        if shift is None:
            self.read = ffi.callback("unsigned int(unsigned short, unsigned char)", self._read_port)
            self.written = ffi.callback("void(unsigned short, unsigned char, unsigned int)", self._write_port)
            machine.port_read, machine.port_written = self.read, self.written
        else:
            self.read = ffi.callback("unsigned int(unsigned long)", lambda address: self._read(self._register(address)))
            self.written = ffi.callback(
                "void(unsigned long, unsigned int)", lambda at, value: self._write(self._register(at), value)
            )
            machine.register_read, machine.register_written = self.read, self.written

    def _register(self, address: int) -> int:
        register, rest = divmod(address - AT, 1 << self.shift)
        assert rest == 0 and register < 8
        return register

    def _read_port(self, port: int, width: int) -> int:
        assert width == 1
        return self._read(port - COM1)

    def _write_port(self, port: int, width: int, value: int) -> None:
        assert width == 1
        self._write(port - COM1, value)

    def _read(self, register: int) -> int:
        match register:
            case 0:
                return self.typed.popleft() if self.typed else 0
            case 5:
                self.looks += 1
                if self.looks % 3 == 0 and self.fifo and not self.stuck:
                    self.sent.append(self.fifo.popleft())
                empty = not self.fifo
                return (READY if self.typed else 0) | (ROOM | SENT if empty else 0)
            case register:
                return self.registers.get(register, 0xFF)

    def _write(self, register: int, value: int) -> None:
        if register in (0, 1) and self.registers[3] & 0x80:
            self.divisor[register] = value
        elif register == 0:
            assert len(self.fifo) < 16, "a byte was sent while there was no room"
            self.fifo.append(value)
        else:
            before = self.interrupts
            self.registers[register] = value
            self.edges += self.interrupts and not before

    @property
    def interrupts(self) -> bool:
        """Whether the interrupt's line is up."""
        return bool(self.typed) and self.registers[1] & 1 != 0


def started(model: Model, wide: bool = False) -> Model:
    for name in STATES[:2]:
        host().cleared(name)
    model.port = host().cleared(f"{UART}port")
    if model.shift is None:
        host().call(f"{UART}Ns16550.at_ports", model.port, COM1)
    else:
        host().call(f"{UART}Ns16550.in_memory", model.port, AT, model.shift, wide)
    assert host().call(f"{UART}Ns16550.answers", model.port)
    host().call(f"{UART}Ns16550.take_over", model.port)
    return model


@pytest.fixture
def uart():
    yield started(Model())
    for name in STATES:
        host().cleared(name)


def put(uart: Model, text: bytes) -> None:
    for byte in text:
        host().call(f"{UART}Ns16550.put", uart.port, byte)


def test_start_leaves_the_speed_and_turns_interrupts_off(uart):
    assert (uart.registers[3], uart.registers[1], uart.registers[4]) == (0x03, 0, 0x0B)


def test_the_fifo_is_filled_and_never_overrun(uart):
    put(uart, bytes(range(0x20, 0x7F)) * 3)
    assert uart.sent + bytes(uart.fifo) == bytes(range(0x20, 0x7F)) * 3


def test_a_line_has_left_when_it_is_printed(uart):
    put(uart, b"DONE ok\r\n")
    assert uart.sent == b"DONE ok\r\n"


def test_one_that_sends_nothing_holds_nobody_up_twice(uart):
    uart.stuck = True
    put(uart, b"\n")
    looks = uart.looks
    uart.fifo.clear()
    uart.fifo.append(0)
    for _ in range(5):
        put(uart, b"\n")
    assert uart.looks == looks


def test_input_is_taken_at_an_interrupt(uart):
    host().call(f"{UART}Ns16550.enable_input", uart.port)
    assert uart.registers[1] == 1
    uart.typed.extend(b"typed")
    host().call(f"{UART}Ns16550.interrupt", uart.port)
    ring = host().variable("hv.common.kernel.console_input.console_input").typed
    taken = [host().call("hv.common.lib.ring.Ring[u8, 256].get", host().ffi.addressof(ring)) for _ in range(5)]
    assert bytes(taken) == b"typed"


def test_a_flood_leaves_the_interrupt_in_the_end_which_comes_again(uart):
    """By its edge as well: its line rises anew."""
    host().call(f"{UART}Ns16550.enable_input", uart.port)
    uart.typed.extend(b"x" * 1000)
    for taken in range(1, 63):
        host().call(f"{UART}Ns16550.interrupt", uart.port)
        assert (len(uart.typed), uart.edges) == (1000 - 16 * taken, taken)
    host().call(f"{UART}Ns16550.interrupt", uart.port)
    assert (len(uart.typed), uart.edges, uart.registers[1]) == (0, 62, 1)


def test_a_flood_does_not_enable_the_interrupt_of_one_that_is_polled(uart):
    uart.typed.extend(b"x" * 1000)
    host().call(f"{UART}Ns16550.interrupt", uart.port)
    assert (len(uart.typed), uart.registers[1]) == (1000 - 16, 0)


def test_no_uart(uart):
    host().cleared("hv.sim.machine.machine")
    assert not host().call(f"{UART}Ns16550.answers", uart.port)


@pytest.mark.parametrize(("shift", "wide"), [(0, False), (1, False), (2, False), (2, True)])
def test_in_memory(uart, shift, wide):
    model = started(Model(shift), wide)
    put(model, b"DONE ok\r\n")
    assert model.sent == b"DONE ok\r\n"


@pytest.mark.parametrize("divisor", [1, 12, 0x1234, 0xFFFF])
def test_the_speed_is_set_when_all_has_been_sent(uart, divisor):
    put(uart, b"at the old speed")
    host().call(f"{UART}Ns16550.set_line", uart.port, divisor, 0x1B)
    assert (uart.divisor[0] | uart.divisor[1] << 8, uart.registers[3]) == (divisor, 0x1B)
    assert uart.sent == b"at the old speed"


@pytest.mark.parametrize(
    ("mark", "sent", "taken"), [(NONE, b"a\xe4", b"a\xe4"), (HIGH, b"\xe1\xe4", b"d"), (LOW, b"ad", b"a")]
)
def test_two_programs_share_a_line_by_the_highest_bit(uart, mark, sent, taken):
    uart.port.mark = mark
    put(uart, b"a\xe4")
    assert uart.sent + bytes(uart.fifo) == sent
    uart.typed.extend(b"a\xe4")
    host().call(f"{UART}Ns16550.interrupt", uart.port)
    ring = host().variable("hv.common.kernel.console_input.console_input").typed
    assert bytes(ring.items[i] for i in range(ring.added)) == taken


def test_one_that_joins_shows_the_log_from_the_beginning(uart):
    host().call("hv.sim.samples.print_line", "early")
    late = Model(2, beside=True)
    late.port = host().cleared(f"{UART}second_port")
    host().call(f"{UART}Ns16550.in_memory", late.port, AT, 2, False)
    host().call(f"{UART}Ns16550.take_over", late.port)
    host().call("hv.sim.samples.print_line", "late")
    assert uart.sent == late.sent == b"(hv) early\r\n(hv) late\r\n"
    host().call(f"{UART}Ns16550.take_over", late.port)
    assert late.sent == uart.sent * 2, "one that has moved shows it anew"
