"""A guest's UART against a model of its FIFO: what was typed comes in order or is told to be lost, and its interrupt is
up exactly while the guest has something to see.
"""

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.arm64.board import ARM, GICD, UART, Board

DR, RSR, FR, IMSC, RIS, MIS, ICR = 0x00, 0x04, 0x18, 0x38, 0x3C, 0x40, 0x44
RECEIVER_EMPTY, RECEIVER_FULL, SENDER_EMPTY = 1 << 4, 1 << 6, 1 << 7
RECEIVE, SEND, TIME_OUT, OVERRUN = 1 << 4, 1 << 5, 1 << 6, 1 << 10
LOST = 1 << 11  # in the data register
OVERRUN_STATUS = 1 << 3
PENDING = GICD + 0x204  # of interrupts 32 to 63
FIFO, LEVEL = 1024, 16


class Uart:
    """The UART of a guest of one vCPU."""

    def __init__(self) -> None:
        self.board = Board()
        (self.vcpu,) = self.board.make_guest(1, uart=True)
        self.port = self.board.extension(self.board.guest, "vpl011_Vpl011")

    def type(self, data: bytes) -> None:
        for byte in data:
            self.board.call(f"{ARM}vpl011.Vpl011.deliver", self.port, byte)

    def __getitem__(self, offset: int) -> int:
        return self.board.device(self.vcpu, UART + offset)

    def __setitem__(self, offset: int, value: int) -> None:
        self.board.device(self.vcpu, UART + offset, value=value)

    @property
    def interrupts(self) -> bool:
        return bool(self.board.device(self.vcpu, PENDING) & 1)

    def drain(self) -> bytes:
        """All that is there, as a driver takes it; nothing of it may say that something was lost."""
        taken = bytearray()
        while not self[FR] & RECEIVER_EMPTY:
            data = self[DR]
            assert data <= 0xFF
            taken.append(data)
        return bytes(taken)


@pytest.fixture
def uart() -> Uart:
    made = Uart()
    made[IMSC] = RECEIVE | TIME_OUT
    return made


def test_a_pasted_line_waits_for_a_guest_that_does_not_run(uart: Uart) -> None:
    """As long as Linux' line editors take: nothing is lost, however late the guest looks."""
    line = bytes(ord("a") + i % 26 for i in range(FIFO - 1)) + b"\r"
    uart.type(line)
    assert uart.interrupts and uart[FR] & RECEIVER_FULL
    assert uart.drain() == line
    assert not uart.interrupts


def test_it_goes_on_after_it_was_full(uart: Uart) -> None:
    """What came too much is lost and told of once, with the byte that comes next. Then each byte comes alone, with its
    interrupt, and nothing is told any more.
    """
    uart.type(bytes(FIFO) + b"lost")
    assert uart[RIS] & OVERRUN and uart[RSR] == OVERRUN_STATUS
    assert uart.drain() == bytes(FIFO)
    assert not uart.interrupts
    uart.type(b"x")
    assert uart.interrupts
    assert uart[DR] == ord("x") | LOST
    for byte in b"more":
        uart.type(bytes([byte]))
        assert uart.interrupts
        assert uart[DR] == byte
        assert not uart.interrupts


def test_a_byte_that_comes_while_interrupts_are_cleared_is_not_forgotten(uart: Uart) -> None:
    """A driver clears what it saw, though there are bytes that it has not taken: the next one raises it again."""
    uart.type(b"ab")
    uart[ICR] = TIME_OUT
    assert not uart.interrupts
    uart.type(b"c")
    assert uart.interrupts
    assert uart.drain() == b"abc"


class UartMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.uart = Uart()
        self.fifo: deque[int] = deque()
        self.lost = False
        self.raised = self.mask = self.status = 0

    @rule(data=st.binary(min_size=1, max_size=40))
    def type_some(self, data: bytes) -> None:
        self.put(data)

    @rule(byte=st.integers(0, 255), short=st.integers(-2, 2))
    def type_until_full(self, byte: int, short: int) -> None:
        """To the brim, or nearly, or a little beyond."""
        self.put(bytes([byte]) * max(FIFO - len(self.fifo) + short, 0))

    def put(self, data: bytes) -> None:
        self.uart.type(data)
        for byte in data:
            if len(self.fifo) == FIFO:
                self.lost = True
                self.raised |= OVERRUN
                self.status = OVERRUN_STATUS
                continue
            self.fifo.append(byte | (LOST if self.lost else 0))
            self.lost = False
            self.raised |= TIME_OUT | (RECEIVE if len(self.fifo) >= LEVEL else 0)

    @rule(count=st.one_of(st.integers(1, 40), st.just(FIFO)))
    def take(self, count: int) -> None:
        for _ in range(count):
            assert self.uart[DR] == (self.fifo.popleft() if self.fifo else 0)
        if len(self.fifo) < LEVEL:
            self.raised &= ~RECEIVE
        if not self.fifo:
            self.raised &= ~TIME_OUT

    @rule()
    def send(self) -> None:
        self.uart[DR] = ord("x")
        self.raised |= SEND

    @rule(mask=st.integers(0, 0x7FF))
    def let_through(self, mask: int) -> None:
        self.uart[IMSC] = mask
        self.mask = mask

    @rule(bits=st.integers(0, 0x7FF))
    def clear(self, bits: int) -> None:
        self.uart[ICR] = bits
        self.raised &= ~bits

    @rule()
    def clear_status(self) -> None:
        self.uart[RSR] = 0
        self.status = 0

    @invariant()
    def shows_it(self) -> None:
        full = RECEIVER_FULL if len(self.fifo) == FIFO else 0
        assert self.uart[FR] == SENDER_EMPTY | full | (0 if self.fifo else RECEIVER_EMPTY)
        assert (self.uart[RIS], self.uart[IMSC]) == (self.raised, self.mask)
        assert self.uart[MIS] == self.raised & self.mask
        assert self.uart[RSR] == self.status
        assert self.uart.interrupts == bool(self.raised & self.mask)


UartMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=30)
TestUart = UartMachine.TestCase
