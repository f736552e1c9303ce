"""A GICv2's virtual interface control registers, each CPU's own (Arm IHI 0048B, 5.3), as the host library's device
accesses find them. What the architecture has not, or the hypervisor has no business with, is kept and told by `check`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.common.host import Host

GICH = 0x0804_0000
HCR_BITS = 0xF800_00FF
PRIORITY_BITS = 5
RESERVED = 7 << 20  # of a list register


@dataclass
class Registers:
    lists: list[int]
    hcr: int = 0
    vmcr: int = 0
    apr: int = 0


@dataclass(frozen=True)
class Entry:
    """A list register, decoded."""

    number: int
    raw: int
    intid: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "intid", self.raw & 0x3FF)

    @property
    def state(self) -> int:
        return self.raw >> 28 & 3

    @property
    def priority(self) -> int:
        return (self.raw >> 23 & 0x1F) << 3

    @property
    def hardware(self) -> bool:
        return bool(self.raw >> 31)

    @property
    def physical(self) -> int:
        return self.raw >> 10 & 0x3FF

    @property
    def notifies(self) -> bool:
        return not self.hardware and bool(self.raw >> 19 & 1)

    @property
    def acknowledged(self) -> int:
        """What GICV_IAR reads as."""
        return self.intid | (self.raw & 7 << 10 if self.intid < 16 and not self.hardware else 0)


class Gich:
    def __init__(self, host: Host, cpus: int, lists: int) -> None:
        self.all = [Registers([0] * lists) for _ in range(cpus)]
        self.here = self.all[0]
        self.findings: list[str] = []
        ffi = host.ffi
        self._read = ffi.callback("unsigned int(unsigned long)", lambda address: self._guarded(self.read, address, 0))
        self._written = ffi.callback("void(unsigned long, unsigned int)", lambda a, v: self._guarded(self.write, a, v))
        machine = host.variable("hv.sim.machine.machine")
        machine.register_read = self._read
        machine.register_written = self._written

    def enter(self, cpu: int) -> None:
        self.here = self.all[cpu]

    def check(self) -> None:
        assert not self.findings, self.findings

    def _guarded(self, action: Callable[[int, int], Any], address: int, value: int) -> Any:
        try:
            return action(address - GICH, value)
        except Exception as problem:  # noqa: BLE001 (the library cannot pass it on)
            self.findings.append(f"{problem!r} at {address:#x}, {value:#x}")
            return 0

    def read(self, offset: int, _: int) -> int:
        match offset:
            case 0x00:
                return self.here.hcr
            case 0x04:
                return len(self.here.lists) - 1 | PRIORITY_BITS - 1 << 26 | PRIORITY_BITS - 1 << 29
            case 0x08:
                return self.here.vmcr
            case 0xF0:
                return self.here.apr
        return self.here.lists[self._list(offset)]

    def write(self, offset: int, value: int) -> None:
        match offset:
            case 0x00:
                assert value & ~HCR_BITS == 0, "reserved bits of GICH_HCR"
                self.here.hcr = value
            case 0x08:
                self.here.vmcr = value
            case 0xF0:
                self.here.apr = value
            case _:
                assert value & RESERVED == 0, "reserved bits of a list register"
                assert not self.here.hcr & 1 or value == 0, "a list register is filled while the guest might use it"
                self.here.lists[self._list(offset)] = value

    def _list(self, offset: int) -> int:
        number = (offset - 0x100) // 4
        assert offset % 4 == 0 and 0 <= number < len(self.here.lists), "no such register"
        return number

    def lists(self) -> list[Entry]:
        return [Entry(n, raw) for n, raw in enumerate(self.here.lists)]

    def set_state(self, entry: Entry, state: int) -> None:
        self.here.lists[entry.number] = entry.raw & ~(3 << 28) | state << 28
