"""The PL011: waiting for room, input by interrupt, against a model of its registers."""

from collections import deque

import pytest

from tests.common.host import host

PL011 = "hv.common.drivers.pl011."
DR, FR, IMSC, ICR = 0x00, 0x18, 0x38, 0x44
RECEIVE_EMPTY, TRANSMIT_FULL = 1 << 4, 1 << 5
AT = 0x1000


class Model:
    """A FIFO that is full for a while after each byte, and one with what was typed."""

    def __init__(self) -> None:
        self.ffi = host().ffi
        self.sent = bytearray()
        self.typed: deque[int] = deque()
        self.busy = 0
        self.mask = self.cleared = 0xFFFF
        machine = host().cleared("hv.sim.machine.machine")
        self.read = self.ffi.callback("unsigned int(unsigned long)", self._read)
        self.written = self.ffi.callback("void(unsigned long, unsigned int)", self._written)
        machine.register_read = self.read
        machine.register_written = self.written

    def _read(self, address: int) -> int:
        match address - AT:
            case 0x00:
                return self.typed.popleft() | 0x100 if self.typed else 0  # with an error bit, as after a break
            case 0x18:
                flags = 0 if self.typed else RECEIVE_EMPTY
                if self.busy:
                    self.busy -= 1
                    flags |= TRANSMIT_FULL
                return flags
        return 0

    def _written(self, address: int, value: int) -> None:
        match address - AT:
            case 0x00:
                assert self.busy == 0, "a byte was sent while there was no room"
                self.sent.append(value)
                self.busy = 3
            case 0x38:
                self.mask = value
            case 0x44:
                self.cleared = value


@pytest.fixture
def model():
    host().cleared("hv.common.kernel.console.console")
    host().cleared("hv.common.kernel.console_input.console_input")
    made = Model()
    port = host().cleared(f"{PL011}port")
    host().call(f"{PL011}Pl011.start", port, AT)
    yield made
    host().cleared("hv.sim.machine.machine")
    host().cleared("hv.common.kernel.console.console")
    host().cleared("hv.common.kernel.console_input.console_input")


def test_start_turns_interrupts_off_and_takes_the_console(model):
    assert (model.mask, model.cleared) == (0, 0x7FF)
    host().call("hv.sim.samples.print_line", "x")
    assert model.sent == b"(hv) x\r\n"


def test_output_waits_for_room(model):
    for byte in b"hello":
        host().call(f"{PL011}Pl011.put", host().variable(f"{PL011}port"), byte)
    assert model.sent == b"hello"


def test_input_is_drained_at_an_interrupt(model):
    port = host().variable(f"{PL011}port")
    host().call(f"{PL011}Pl011.enable_input", port)
    assert model.mask == 1 << 4 | 1 << 6
    model.typed.extend(b"typed")
    host().call(f"{PL011}Pl011.interrupt", port)
    assert not model.typed
    ring = host().variable("hv.common.kernel.console_input.console_input").typed
    taken = [host().call("hv.common.lib.ring.Ring[u8, 256].get", host().ffi.addressof(ring)) for _ in range(5)]
    assert bytes(taken) == b"typed"


def test_a_flood_leaves_the_interrupt_in_the_end(model):
    model.typed.extend(b"x" * 1000)
    host().call(f"{PL011}Pl011.interrupt", host().variable(f"{PL011}port"))
    assert len(model.typed) == 1000 - 64
