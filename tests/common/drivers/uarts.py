"""What the tests of serial drivers share: a device behind the library's accesses, and the console that it prints."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from tests.common.host import host

STATES = ("hv.common.kernel.console.console", "hv.common.kernel.console_input.console_input", "hv.sim.machine.machine")
AT = 0xFE00_0000


class Model:
    """A device's registers by their offsets. What a driver has no business with is a finding, which `check` tells: an
    exception cannot cross the library."""

    def __init__(self) -> None:
        self.typed: deque[int] = deque()
        self.sent = bytearray()
        self.looks = 0
        self.stuck = False
        self.findings: list[str] = []
        ffi = host().ffi
        machine = host().cleared("hv.sim.machine.machine")
        self._reads = ffi.callback("unsigned int(unsigned long)", lambda at: self._guarded(self.read, at - AT))
        self._writes = ffi.callback(
            "void(unsigned long, unsigned int)", lambda at, value: self._guarded(self.write, at - AT, value)
        )
        machine.register_read, machine.register_written = self._reads, self._writes

    def _guarded(self, access: Callable[..., Any], *arguments: int) -> Any:
        try:
            return access(*arguments)
        except Exception as problem:  # noqa: BLE001 (the library cannot pass it on)
            self.findings.append(f"{problem!r} at {arguments}")
            return 0

    def check(self) -> None:
        assert not self.findings, self.findings

    def read(self, register: int) -> int:
        raise NotImplementedError

    def write(self, register: int, value: int) -> None:
        raise NotImplementedError


class Driver:
    """A driver's one port, started on a model."""

    def __init__(self, module: str, name: str, model: Model) -> None:
        for state in STATES[:2]:
            host().cleared(state)
        self.methods = f"hv.common.drivers.{module}.{name}."
        self.model = model
        self.port = host().cleared(f"hv.common.drivers.{module}.port")
        self.call("start", AT)

    def call(self, method: str, *arguments: int) -> None:
        host().call(f"{self.methods}{method}", self.port, *arguments)
        self.model.check()

    def put(self, text: bytes) -> None:
        for byte in text:
            self.call("put", byte)

    def lose_patience(self, registers: dict[int, int]) -> None:
        """Prints while the registers stay as they are, until it waits no longer."""
        machine = host().variable("hv.sim.machine.machine")
        kept = machine.register_read, machine.register_written
        machine.register_read = machine.register_written = host().ffi.NULL
        for register, value in registers.items():
            machine.registers[(AT + register) // 4 % len(machine.registers)] = value
        before = list(machine.registers)
        self.call("put", 0x79)
        assert self.port.patience.spent
        assert list(machine.registers) == before, "a byte was sent while there was no room"
        machine.register_read, machine.register_written = kept

    def taken(self) -> bytes:
        """What the console's input has been given, from the beginning."""
        ring = host().variable("hv.common.kernel.console_input.console_input").typed
        assert ring.added <= len(ring.items), "the test types more than there is room for"
        return bytes(ring.items[i] for i in range(ring.added))


def forget() -> None:
    for state in STATES:
        host().cleared(state)
