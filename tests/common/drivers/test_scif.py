"""Renesas' SCIF against a model of its registers (R-Car Gen3 hardware manual, "Serial Communications Interface with
FIFO"). No emulator has one, so what the manual says of flags and of register widths is checked here."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.drivers.uarts import Driver, Model, forget
from tests.common.host import host

FIFO = 16
TIE, RIE, TE, RE, REIE, TOIE = 1 << 7, 1 << 6, 1 << 5, 1 << 4, 1 << 3, 1 << 2
ER, TEND, TDFE, BRK, FER, PER, RDF, DR = (1 << n for n in range(7, -1, -1))
ORER = 1 << 0
TRIGGERS = (1, 4, 8, 14)  # by SCFCR.RTRG, of asynchronous mode


class Scif(Model):
    """Sends a byte at every third look at how much its FIFOs hold. A flag is cleared by a zero that is written after
    it was read as one, and is set again while its condition holds."""

    def __init__(self) -> None:
        super().__init__()
        self.mode, self.speed = 0, 0x8D
        self.control = TIE | RIE | TE | RE | REIE | TOIE | 2  # as a firmware may leave it, with an external clock
        self.fifo_control = 0x30 | 3 << 6 | 1 << 3
        self.flags = TEND | TDFE
        self.seen = 0  # flags that were read as ones
        self.line_flags = self.line_seen = 0
        self.fifo: list[int] = []
        self.arriving: list[int | Callable[[], None] | None] = []
        self.lost = 0

    @property
    def line(self) -> bool:
        asked = (ER | BRK | RDF | DR if self.control & RIE else 0) | (TDFE if self.control & TIE else 0)
        overrun = self.line_flags & ORER and self.control & (RIE | REIE)
        return bool(self.flags & asked or overrun)

    @property
    def trigger(self) -> int:
        return TRIGGERS[self.fifo_control >> 6 & 3]

    def arrive(self, byte: int) -> None:
        if not self.control & RE or self.line_flags & ORER:
            self.lost += 1
            return
        if len(self.typed) == FIFO:
            self.line_flags |= ORER
            self.lost += 1
            return
        self.typed.append(byte)
        self._set()

    def fail(self) -> None:
        """A break, and what is wrong with the frame that it makes."""
        self.flags |= BRK | ER

    def be_quiet(self) -> None:
        if 0 < len(self.typed) < self.trigger:
            self.flags |= DR

    def _set(self) -> None:
        if len(self.typed) >= self.trigger:
            self.flags |= RDF

    def _pass_time(self) -> None:
        if self.arriving:
            byte = self.arriving.pop(0)
            if callable(byte):
                byte()
            elif byte is not None:
                self.arrive(byte)

    def read(self, register: int) -> int:
        self._pass_time()
        match register:
            case 0x08:
                return self.control
            case 0x10:
                self.seen |= self.flags
                return self.flags
            case 0x14:
                assert self.typed, "a byte was read where there was none"
                return self.typed.popleft()
            case 0x18:
                return self.fifo_control
            case 0x1C:
                self.looks += 1
                if self.looks % 3 == 0 and self.fifo and not self.stuck:
                    self.sent.append(self.fifo.pop(0))
                return len(self.fifo) << 8 | len(self.typed)
            case 0x24:
                self.line_seen |= self.line_flags
                return self.line_flags
        raise AssertionError(f"read of {register:#x}")

    def write(self, register: int, value: int) -> None:
        self._pass_time()
        match register:
            case 0x08:
                self.control = value
            case 0x0C:
                assert self.control & TE
                assert len(self.fifo) < FIFO, "a byte was sent while there was no room"
                self.fifo.append(value)
            case 0x10:
                cleared = ~value & self.seen & (ER | TEND | TDFE | BRK | RDF | DR)
                self.flags &= ~cleared
                self.seen &= ~cleared
                self._set()
            case 0x18:
                assert value & 7 == 0, "a FIFO was cleared, or looped"
                self.fifo_control = value
            case 0x24:
                self.line_flags &= ~(~value & self.line_seen)
                self.line_seen &= self.line_flags
            case _:
                raise AssertionError(f"write of {register:#x}")


@pytest.fixture
def uart():
    yield Driver("scif", "Scif", Scif())
    forget()


def test_start_turns_interrupts_off_and_leaves_clock_and_speed(uart):
    assert uart.model.control == TE | RE | 2
    host().call("hv.sim.samples.print_line", "x")
    assert bytes(uart.model.sent + bytes(uart.model.fifo)) == b"(hv) x\r\n"


def test_output_waits_for_room(uart):
    text = bytes(range(0x20, 0x7F)) * 3
    uart.put(text)
    assert bytes(uart.model.sent) + bytes(uart.model.fifo) == text


def test_one_that_sends_nothing_holds_nobody_up_twice(uart):
    model = uart.model
    model.stuck = True
    uart.put(b"x" * FIFO)
    uart.lose_patience({0x1C: FIFO << 8})
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
    assert model.control == TE | RE | RIE | 2
    assert model.fifo_control == 0x30 | 1 << 3, "flow control and the sender's trigger stay"
    for byte in b"typed":
        model.arrive(byte)
    assert model.line
    uart.call("interrupt")
    assert uart.taken() == b"typed" and not model.line


def test_an_overrun_does_not_end_input(uart):
    """Nothing is received while its flag is set (SCLSR.ORER)."""
    model = uart.model
    uart.call("enable_input")
    for byte in range(FIFO + 3):
        model.arrive(byte)
    assert model.lost == 3
    while model.line:
        uart.call("interrupt")
    model.arrive(0x55)
    uart.call("interrupt")
    assert uart.taken() == bytes([*range(FIFO), 0x55]) and not model.line


def test_a_break_and_a_bad_frame_do_not_hold_the_interrupt(uart):
    uart.call("enable_input")
    uart.model.fail()
    assert uart.model.line
    uart.call("interrupt")
    assert not uart.model.line


def test_a_flood_leaves_the_interrupt_in_the_end_which_comes_again(uart):
    model = uart.model
    uart.call("enable_input")
    for byte in range(FIFO):
        model.arrive(byte)
    model.arriving = [None, None, None, *([7, None] * FIFO)]
    uart.call("interrupt")
    assert len(uart.taken()) == FIFO
    assert model.line, "the rest raises it anew"


@given(bursts=st.lists(st.lists(st.none() | st.integers(0, 255) | st.just("break"), max_size=30), max_size=5))
def test_whenever_bytes_come_all_are_taken_in_order(bursts):
    """Also between the accesses of the interrupt's handler; with the interrupt taken whenever its line is up."""
    uart = Driver("scif", "Scif", Scif())
    model = uart.model
    try:
        uart.call("enable_input")
        for burst in bursts:
            model.arriving = [model.fail if byte == "break" else byte for byte in burst]
            rounds = 0
            while model.arriving or model.line:
                rounds += 1
                assert rounds < 1000, "the interrupt never goes away"
                if model.line:
                    uart.call("interrupt")
                else:
                    model._pass_time()
        assert uart.taken() == bytes(byte for burst in bursts for byte in burst if isinstance(byte, int))
        assert model.lost == 0
    finally:
        forget()
