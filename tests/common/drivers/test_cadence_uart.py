"""The Cadence UART against a model of its registers (Zynq UltraScale+ TRM, UG1085, "UART Controllers"; UG1087)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.drivers.uarts import Driver, Model, forget
from tests.common.host import host

FIFO = 64
RTRIG, TIMEOUT = 1 << 0, 1 << 8
EMPTY, FULL, SEND_FULL = 1 << 1, 1 << 2, 1 << 4
RECEIVER_ON, RECEIVER_OFF, SENDER_ON, SENDER_OFF, RESTART = 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6


class Cadence(Model):
    """Sends a byte at every third look at its state. An interrupt's bit is set once, when its condition comes true,
    and stays until a one is written: RTRIG when the FIFO fills to the trigger, TIMEOUT when nothing has come for a
    while, once for each restart of its counter. `arriving` comes byte by byte, each before an access."""

    def __init__(self) -> None:
        super().__init__()
        self.control = RECEIVER_OFF | SENDER_OFF | 1 << 8  # as after reset
        self.mode, self.speed = 0x20, 0x28B
        self.mask, self.happened = 0x1FFF, 0x3FFF  # as a firmware may leave them
        self.timeout, self.trigger = 0, 0x20
        self.counting = False
        self.arriving: list[int | None] = []
        self.lost = 0
        self.fifo: list[int] = []

    @property
    def line(self) -> bool:
        return self.mask & self.happened != 0

    def arrive(self, byte: int) -> None:
        if self.control & RECEIVER_OFF or not self.control & RECEIVER_ON:
            return
        if len(self.typed) == FIFO:
            self.lost += 1
            return
        self.typed.append(byte)
        self.counting = self.timeout != 0
        if len(self.typed) == self.trigger:
            self.happened |= RTRIG

    def be_quiet(self) -> None:
        """For longer than the timeout."""
        if self.counting:
            self.counting = False
            self.happened |= TIMEOUT

    def _pass_time(self) -> None:
        if self.arriving:
            byte = self.arriving.pop(0)
            if byte is not None:
                self.arrive(byte)

    def read(self, register: int) -> int:
        self._pass_time()
        match register:
            case 0x00:
                return self.control
            case 0x14:
                return self.happened
            case 0x2C:
                self.looks += 1
                if self.looks % 3 == 0 and self.fifo and not self.stuck:
                    self.sent.append(self.fifo.pop(0))
                state = 0 if self.typed else EMPTY
                return state | (FULL if len(self.typed) == FIFO else 0) | (SEND_FULL if len(self.fifo) == FIFO else 0)
            case 0x30:
                assert self.typed, "a byte was read where there was none"
                return self.typed.popleft()
        raise AssertionError(f"read of {register:#x}")

    def write(self, register: int, value: int) -> None:
        self._pass_time()
        match register:
            case 0x00:
                assert value & (RECEIVER_ON | RECEIVER_OFF) != RECEIVER_ON | RECEIVER_OFF
                assert value & (SENDER_ON | SENDER_OFF) != SENDER_ON | SENDER_OFF
                assert value & 3 == 0, "a FIFO was cleared"
                if value & RESTART:
                    self.counting = self.timeout != 0
                self.control = value & ~RESTART
            case 0x08:
                self.mask |= value
            case 0x0C:
                self.mask &= ~value
            case 0x14:
                self.happened &= ~value
            case 0x1C:
                self.timeout = value
            case 0x20:
                assert 1 <= value < FIFO
                self.trigger = value
            case 0x30:
                assert self.control & SENDER_ON and not self.control & SENDER_OFF
                assert len(self.fifo) < FIFO, "a byte was sent while there was no room"
                self.fifo.append(value)
            case _:
                raise AssertionError(f"write of {register:#x}")


@pytest.fixture
def uart():
    yield Driver("cadence_uart", "CadenceUart", Cadence())
    forget()


def test_start_turns_interrupts_off_and_both_directions_on(uart):
    model = uart.model
    assert (model.mask, model.happened) == (0, 0)
    assert model.control == 1 << 8 | RECEIVER_ON | SENDER_ON
    host().call("hv.sim.samples.print_line", "x")
    assert bytes(model.sent + bytes(model.fifo)) == b"(hv) x\r\n"


def test_output_waits_for_room(uart):
    text = bytes(range(0x20, 0x7F)) * 3
    uart.put(text)
    assert bytes(uart.model.sent) + bytes(uart.model.fifo) == text


def test_one_that_sends_nothing_holds_nobody_up_twice(uart):
    model = uart.model
    model.stuck = True
    uart.put(b"x" * FIFO)
    uart.lose_patience({0x2C: SEND_FULL})
    model.looks = 0
    uart.put(b"yyyy")
    assert model.looks == 4 and bytes(model.fifo) == b"x" * FIFO
    model.stuck = False
    uart.put(b"zzzzzz")
    assert not uart.port.patience.spent
    assert b"z" in bytes(model.fifo), "it goes on when the other end does"


def test_input_is_taken_at_an_interrupt(uart):
    model = uart.model
    uart.call("enable_input")
    assert model.mask == RTRIG | TIMEOUT and model.trigger == 1 and 0 < model.timeout <= 0xFF
    for byte in b"typed":
        model.arrive(byte)
    assert model.line
    uart.call("interrupt")
    assert uart.taken() == b"typed" and not model.line
    model.be_quiet()
    assert model.line
    uart.call("interrupt")
    model.be_quiet()
    assert uart.taken() == b"typed" and not model.line, "one that is quiet is left alone"


def test_a_flood_leaves_the_interrupt_in_the_end_and_is_taken_when_it_is_over(uart):
    model = uart.model
    uart.call("enable_input")
    for byte in range(FIFO):
        model.arrive(byte)
    model.arriving = [*range(FIFO, 3 * FIFO)]
    uart.call("interrupt")
    assert len(uart.taken()) == FIFO
    while model.arriving:
        model._pass_time()
    model.be_quiet()
    assert model.line
    uart.call("interrupt")
    assert len(uart.taken()) + model.lost == 3 * FIFO


@given(
    bursts=st.lists(st.lists(st.none() | st.integers(0, 255), max_size=30), max_size=5),
    quiet=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_whenever_bytes_come_all_are_taken_in_order(bursts, quiet):
    """Also between the accesses of the interrupt's handler; with the interrupt taken whenever its line is up."""
    uart = Driver("cadence_uart", "CadenceUart", Cadence())
    model = uart.model
    try:
        uart.call("enable_input")
        for burst, pause in zip(bursts, quiet, strict=False):
            model.arriving = list(burst)
            while model.arriving or model.line:
                if model.line:
                    uart.call("interrupt")
                else:
                    model._pass_time()
            if pause:
                model.be_quiet()
        model.be_quiet()
        if model.line:
            uart.call("interrupt")
        assert uart.taken() == bytes(byte for burst in bursts for byte in burst if byte is not None)
        assert model.lost == 0
    finally:
        forget()
