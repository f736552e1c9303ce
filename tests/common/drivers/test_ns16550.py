"""The 16550: waiting for its FIFO, a line's end that waits until all is sent, input by interrupt, and a port where no
UART is, against a model of its registers at I/O ports."""

from collections import deque

import pytest

from tests.common.host import host

UART = "hv.common.drivers.ns16550."
COM1 = 0x3F8
ROOM, SENT, READY = 1 << 5, 1 << 6, 1 << 0
STATES = ("hv.common.kernel.console.console", "hv.common.kernel.console_input.console_input", "hv.sim.machine.machine")


class Model:
    """Sends a byte at every third look at its state; loses what is written to a full FIFO."""

    def __init__(self) -> None:
        self.fifo: deque[int] = deque()
        self.sent = bytearray()
        self.typed: deque[int] = deque()
        self.registers = {1: 0xFF, 3: 0x83, 4: 0}
        self.looks = 0
        self.stuck = False
        machine = host().cleared("hv.sim.machine.machine")
        self.read = host().ffi.callback("unsigned int(unsigned short, unsigned char)", self._read)
        self.written = host().ffi.callback("void(unsigned short, unsigned char, unsigned int)", self._written)
        machine.port_read = self.read
        machine.port_written = self.written

    def _read(self, port: int, width: int) -> int:
        assert width == 1
        match port - COM1:
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

    def _written(self, port: int, width: int, value: int) -> None:
        if port == COM1:
            assert not self.registers[3] & 0x80, "that is the divisor, not the FIFO"
            assert len(self.fifo) < 16, "a byte was sent while there was no room"
            self.fifo.append(value)
        else:
            self.registers[port - COM1] = value


@pytest.fixture
def uart():
    for name in STATES:
        host().cleared(name)
    model = Model()
    model.port = host().cleared(f"{UART}port")
    assert host().call(f"{UART}Ns16550.start_ports", model.port, COM1)
    yield model
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


def test_a_flood_leaves_the_interrupt_in_the_end(uart):
    uart.typed.extend(b"x" * 1000)
    host().call(f"{UART}Ns16550.interrupt", uart.port)
    assert len(uart.typed) == 1000 - 16


def test_no_uart(uart):
    host().cleared("hv.sim.machine.machine")
    port = host().cleared(f"{UART}port")
    assert not host().call(f"{UART}Ns16550.start_ports", port, COM1)
