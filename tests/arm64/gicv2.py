"""A GICv2 by its registers (Arm IHI 0048B): distributor, and a CPU interface for each CPU, as the hardware answers.

The host library's device accesses come here. What the architecture forbids, or what the driver has no business with,
is a finding: it is kept, since an exception cannot cross the library, and told by `check`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.common.host import Host

DISTRIBUTOR = 0x0800_0000
INTERFACE = 0x0801_0000
CONTROL = 0x0803_0000  # GICH
VIRTUAL = 0x0804_0000  # GICV
NOTHING = 1023
EDGE_BIT = 2


class Line:
    """An interrupt's state as one CPU sees it; of a shared one there is one for all."""

    def __init__(self, edge: bool = False) -> None:
        self.enabled = self.latched = self.active = self.level = False
        self.edge = edge
        self.priority = 0
        self.targets = 0

    @property
    def pending(self) -> bool:
        return self.latched or (self.level and not self.edge)


class Interface:
    def __init__(self, interrupts: int) -> None:
        self.control = self.mask = 0
        self.private = [Line(edge=n < 16) for n in range(32)]
        self.senders = [set[int]() for _ in range(16)]
        self.running: list[tuple[int, int]] = []  # priorities and raw numbers that have not ended
        self.undropped: list[int] = []


class GicV2:
    """`spread`: each of the interface's pages sixteen times, as where pages have 64 KiB."""

    def __init__(self, host: Host, cpus: int = 4, interrupts: int = 96, spread: bool = False, version: int = 2) -> None:
        self.host = host
        self.cpus, self.count, self.spread = cpus, interrupts, spread
        self.identification = version << 16 | 0x0200_143B
        self.virtual_identification = self.identification
        self.enabled = False
        self.interfaces = [Interface(interrupts) for _ in range(cpus)]
        self.shared = [Line() for _ in range(32, interrupts)]
        for line in self.shared:  # as a firmware may leave it
            line.enabled = line.active = True
        self.here = 0
        self.findings: list[str] = []
        ffi = host.ffi
        self._read = ffi.callback("unsigned int(unsigned long)", lambda address: self._guarded(self.read, address, 0))
        self._written = ffi.callback("void(unsigned long, unsigned int)", lambda a, v: self._guarded(self.write, a, v))
        machine = host.variable("hv.sim.machine.machine")
        machine.register_read = self._read
        machine.register_written = self._written

    def enter(self, cpu: int) -> None:
        self.here = cpu
        self.host.enter(cpu)

    def check(self) -> None:
        assert not self.findings, self.findings

    def _guarded(self, action: Callable[[int, int], Any], address: int, value: int) -> Any:
        try:
            return action(address, value)
        except Exception as problem:  # noqa: BLE001 (the library cannot pass it on)
            self.findings.append(f"{problem!r} at {address:#x}")
            return 0

    @property
    def me(self) -> Interface:
        return self.interfaces[self.here]

    def line(self, intid: int) -> Line:
        return self.me.private[intid] if intid < 32 else self.shared[intid - 32]

    # What devices do

    def raise_line(self, intid: int, cpu: int = 0) -> None:
        line = self.interfaces[cpu].private[intid] if intid < 32 else self.shared[intid - 32]
        if line.edge and not line.level:
            line.latched = True
        line.level = True

    def lower_line(self, intid: int, cpu: int = 0) -> None:
        line = self.interfaces[cpu].private[intid] if intid < 32 else self.shared[intid - 32]
        line.level = False

    # Registers

    def read(self, address: int, _: int) -> int:
        if DISTRIBUTOR <= address < DISTRIBUTOR + 0x1000:
            return self._read_distributor(address - DISTRIBUTOR)
        if address == VIRTUAL + 0xFC:
            return self.virtual_identification
        page, offset = self._interface_page(address)
        if page != 0:
            return 0
        match offset:
            case 0x00:
                return self.me.control
            case 0x0C:
                return self._acknowledge()
            case 0xFC:
                return self.identification
        raise AssertionError(f"read of interface register {offset:#x}")

    def write(self, address: int, value: int) -> None:
        if DISTRIBUTOR <= address < DISTRIBUTOR + 0x1000:
            self._write_distributor(address - DISTRIBUTOR, value)
            return
        page, offset = self._interface_page(address)
        match page, offset:
            case 0, 0x00:
                assert value & ~0x3E1 == 0, f"control {value:#x}"
                self.me.control = value
            case 0, 0x04:
                self.me.mask = value
            case 0, 0x10:
                self._end(value)
            case 1, 0x00:
                self._deactivate(value)
            case 0, 0x08 | 0xD0 | 0xD4 | 0xD8 | 0xDC:
                assert value == 0
            case _:
                raise AssertionError(f"write of interface page {page}, register {offset:#x}")

    def _interface_page(self, address: int) -> tuple[int, int]:
        offset = address - INTERFACE
        page = 0x1_0000 if self.spread else 0x1000
        assert 0 <= offset < 0x2_0000, "outside all registers"
        return offset // page, offset % 0x1000

    def _read_distributor(self, offset: int) -> int:
        assert offset % 4 == 0
        match offset:
            case 0x000:
                return int(self.enabled)
            case 0x004:
                return self.count // 32 - 1 | self.cpus - 1 << 5
        first, lines = self._lines(offset)
        match offset & ~0x7F:
            case 0x100 | 0x180:
                return sum(line.enabled << i for i, line in enumerate(lines))
        if 0x400 <= offset < 0x800:
            return sum(line.priority << 8 * i for i, line in enumerate(lines))
        if 0x800 <= offset < 0xC00:
            if self.cpus == 1:
                return 0
            own = 1 << self.here
            return sum((own if first + i < 32 else line.targets) << 8 * i for i, line in enumerate(lines))
        if 0xC00 <= offset < 0xD00:
            return sum((EDGE_BIT if line.edge else 0) << 2 * i for i, line in enumerate(lines))
        raise AssertionError(f"read of distributor register {offset:#x}")

    def _write_distributor(self, offset: int, value: int) -> None:
        assert offset % 4 == 0
        if offset == 0x000:
            self.enabled = bool(value & 1)
            return
        if offset == 0xF00:
            self._send(value)
            return
        if 0xF10 <= offset < 0xF20:
            for i in range(4):
                gone = {cpu for cpu in range(8) if value >> 8 * i + cpu & 1}
                self.me.senders[offset - 0xF10 + i] -= gone
            return
        first, lines = self._lines(offset)
        for i, line in enumerate(lines):
            bit = value >> i & 1
            match offset & ~0x7F:
                case 0x080:
                    assert bit == 0, "an interrupt of group 1, which nobody enables"
                case 0x100:
                    line.enabled |= bool(bit)
                case 0x180:
                    line.enabled &= not bit
                case 0x280:
                    line.latched &= not bit
                case 0x300:
                    line.active |= bool(bit)
                case 0x380:
                    line.active &= not bit
                case _:
                    self._write_wide(offset, first + i, i, line, value)

    def _write_wide(self, offset: int, intid: int, i: int, line: Line, value: int) -> None:
        if 0x400 <= offset < 0x800:
            line.priority = value >> 8 * i & 0xF8
        elif 0x800 <= offset < 0xC00:
            targets = value >> 8 * i & 0xFF
            assert intid >= 32 and targets and targets < 1 << self.cpus, f"targets {targets:#x} of {intid}"
            line.targets = targets
        elif 0xC00 <= offset < 0xD00:
            edge = bool(value >> 2 * i & EDGE_BIT)
            assert edge == line.edge or not line.enabled, f"{intid} changes its trigger while it is enabled"
            line.edge = edge
        else:
            raise AssertionError(f"write of distributor register {offset:#x}")

    def _lines(self, offset: int) -> tuple[int, list[Line]]:
        """The lines of a register and the number of the first."""
        if offset < 0x400:
            bits, start = 1, offset & ~0x7F
        elif offset < 0xC00:
            bits, start = 8, offset & ~0x3FF
        else:
            bits, start = 2, 0xC00
        per = 32 // bits
        first = (offset - start) // 4 * per
        assert first < self.count, f"register {offset:#x} is of interrupts that there are not"
        return first, [self.line(first + i) for i in range(per)]

    def _send(self, value: int) -> None:
        assert value >> 24 == 0, "an SGI with a filter of targets"
        targets = value >> 16 & 0xFF
        assert targets and targets < 1 << self.cpus, f"an SGI to {targets:#x}"
        for cpu in range(self.cpus):
            if targets >> cpu & 1:
                self.interfaces[cpu].senders[value & 0xF].add(self.here)

    # The CPU interface

    def signalled(self) -> tuple[int, int, int] | None:
        """The interrupt that this CPU would take: priority, number, sender."""
        if not self.enabled or not self.me.control & 1:
            return None
        running = min((priority for priority, _ in self.me.running), default=0x100)
        found = []
        for intid in range(self.count):
            line = self.line(intid)
            sender = min(self.me.senders[intid], default=-1) if intid < 16 else 0
            pending = sender >= 0 if intid < 16 else line.pending
            here = intid < 32 or line.targets >> self.here & 1
            if pending and line.enabled and not line.active and here and line.priority < min(self.me.mask, running):
                found.append((line.priority, intid, sender))
        return min(found, default=None)

    def _acknowledge(self) -> int:
        best = self.signalled()
        if best is None:
            return NOTHING
        priority, intid, sender = best
        line = self.line(intid)
        line.active, line.latched = True, False
        raw = intid
        if intid < 16:
            self.me.senders[intid].discard(sender)
            raw |= sender << 10
        self.me.running.append((priority, raw))
        self.me.undropped.append(raw)
        return raw

    def _end(self, value: int) -> None:
        assert self.me.running and self.me.running[-1][1] == value, f"EOIR of {value:#x} out of order"
        self.me.running.pop()
        if not self.me.control & 1 << 9:
            self.line(value & 0x3FF).active = False

    def _deactivate(self, value: int) -> None:
        assert self.me.control & 1 << 9, "DIR while EOIR deactivates"
        assert all(raw != value for _, raw in self.me.running), f"DIR of {value:#x} before EOIR"
        line = self.line(value & 0x3FF)
        assert line.active, f"DIR of {value:#x}, which is not active"
        line.active = False
