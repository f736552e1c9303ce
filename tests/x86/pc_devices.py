"""A PC's clocks and interrupt controllers by their registers, as the hardware answers, in a time of the test's own.

The host library's device accesses come here, and each takes some time. What a specification forbids, or what a driver
has no business with, is a finding: it is kept, since an exception cannot cross the library, and told by `check`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tests.common.drivers import pci_model
from tests.common.host import Host, host

FEMTO = 10**15  # time is counted in fs
MICRO = FEMTO // 10**6
SECOND = 10**9  # in ns
APIC, IO_APIC, HPET, PM_TIMER = 0xFEE0_0000, 0xFEC0_0000, 0xFED0_0000, 0x608
CPU = "hv.sim.x86_devices.cpu"
MACHINE = "hv.sim.machine.machine"
WINDOWS = "hv.sim.controller.identity_windows"
TSC_DEADLINE = 0x6E0


class Device(Protocol):
    def read(self, offset: int) -> int: ...

    def write(self, offset: int, value: int) -> None: ...


class Pc:
    """Its TSC, its local APIC, and devices at addresses and ports."""

    def __init__(self, tsc: int = 10**9, apic: int = 10**9, cost: int = MICRO) -> None:
        self.host: Host = host()
        for name in (MACHINE, CPU, WINDOWS, "hv.x86.timer.clock", "hv.x86.clock_choice.choice"):
            self.host.cleared(name)
        self.now = 0
        self.tsc, self.cost = tsc, cost
        self.accesses = 0
        self.stall_every, self.stall = 0, 0  # as by firmware that takes the CPU away
        self.findings: list[str] = []
        self.memory: list[tuple[int, int, Device]] = []
        self.ports: dict[int, tuple[Device | pci_model.Ports, int]] = {}
        self.apic = LocalApic(self, apic)
        self.put(APIC, 0x1000, self.apic)
        self.host.call("hv.x86.lapic.choose_xapic", APIC)
        machine, cpu, guarded, ffi = self.host.variable(MACHINE), self.host.variable(CPU), self._guarded, self.host.ffi
        self.kept = [
            ffi.callback("unsigned int(unsigned long)", lambda a: guarded(self._read_memory, a)),
            ffi.callback("void(unsigned long, unsigned int)", lambda a, v: guarded(self._write_memory, a, v)),
            ffi.callback("unsigned int(unsigned short, unsigned char)", lambda p, w: guarded(self._read_port, p, w)),
            ffi.callback("void(unsigned short, unsigned char, unsigned int)", lambda *a: guarded(self._write_port, *a)),
            ffi.callback("unsigned long()", lambda: guarded(self._timestamp)),
            ffi.callback("void(unsigned int, unsigned long)", lambda r, v: guarded(self.apic.write_msr, r, v)),
        ]
        machine.register_read, machine.register_written, machine.port_read, machine.port_written = self.kept[:4]
        cpu.timestamp, cpu.msr_written = self.kept[4:]
        Pc.running = self  # the callbacks live as long as it does

    def call(self, name: str, *arguments: Any) -> Any:
        result = self.host.call(f"hv.{name}", *arguments)
        self.check()
        return result

    @property
    def windows(self) -> int:
        """That show registers in memory."""
        return int(self.host.variable(WINDOWS).mapped)

    def check(self) -> None:
        assert not self.findings, self.findings

    def put(self, start: int, length: int, device: Device) -> None:
        self.memory.append((start, length, device))

    def put_port(self, start: int, count: int, device: Device | pci_model.Ports) -> None:
        self.ports |= {start + i: (device, i) for i in range(count)}

    def answer(self, *leaves: tuple[int, int, int, int, int]) -> None:
        """Of CPUID: leaf, eax, ebx, ecx, edx."""
        for place, leaf in zip(self.host.variable(CPU).answers, leaves, strict=False):
            place.leaf, place.eax, place.ebx, place.ecx, place.edx = leaf

    def ticks(self, frequency: int, since: int = 0) -> int:
        return (self.now - since) * frequency // FEMTO

    def pass_time(self, fs: int) -> None:
        self.now += fs

    def _access(self) -> None:
        self.accesses += 1
        self.now += self.cost
        if self.stall_every and self.accesses % self.stall_every == 0:
            self.now += self.stall

    def _guarded(self, action: Callable[..., Any], *arguments: int) -> Any:
        try:
            self._access()
            return action(*arguments)
        except Exception as problem:  # noqa: BLE001 (the library cannot pass it on)
            self.findings.append(f"{problem!r} at {[hex(a) for a in arguments]}")
            return 0

    def _timestamp(self) -> int:
        return self.ticks(self.tsc) & 2**64 - 1

    def _device(self, address: int) -> tuple[Device, int] | None:
        for start, length, device in self.memory:
            if start <= address < start + length:
                assert address % 4 == 0 or isinstance(device, Uart)
                return device, address - start
        return None

    def _read_memory(self, address: int) -> int:
        found = self._device(address)
        return 2**32 - 1 if found is None else found[0].read(found[1])

    def _write_memory(self, address: int, value: int) -> None:
        found = self._device(address)
        if found is not None:
            found[0].write(found[1], value)

    def _read_port(self, port: int, width: int) -> int:
        found = self.ports.get(port)
        if found is None:
            return (1 << 8 * width) - 1
        device, at = found
        return device.read(at, width) if isinstance(device, pci_model.Ports) else device.read(at)

    def _write_port(self, port: int, width: int, value: int) -> None:
        found = self.ports.get(port)
        if found is not None:
            device, at = found
            if isinstance(device, pci_model.Ports):
                device.write(at, width, value)
            else:
                device.write(at, value)


class Uart:
    """A 16550 that is always ready (TI PC16550D data sheet, 8.0), registers `apart` bytes from each other."""

    def __init__(self, apart: int = 1) -> None:
        self.apart = apart
        self.registers = {1: 0x0F, 2: 0, 3: 0x83, 4: 0}
        self.divisor = {0: 12, 1: 0}
        self.sent = bytearray()
        self.typed = bytearray()
        self.answers: Callable[[], bool] = lambda: True

    def read(self, offset: int) -> int:
        if not self.answers():
            return 0xFF
        register, rest = divmod(offset, self.apart)
        assert rest == 0
        if register == 0:
            return self.typed.pop(0)
        return 0x60 | bool(self.typed) if register == 5 else self.registers.get(register, 0)

    def write(self, offset: int, value: int) -> None:
        register, rest = divmod(offset, self.apart)
        assert rest == 0 and value <= 0xFF
        if register in (0, 1) and self.registers[3] & 0x80:
            self.divisor[register] = value
        elif register == 0:
            self.sent.append(value)
        else:
            self.registers[register] = value

    @property
    def speed(self) -> int:
        return 115200 // (self.divisor[0] | self.divisor[1] << 8)

    def said(self) -> list[str]:
        text = self.sent.decode()
        self.sent.clear()
        return [line.removeprefix("(hv) ") for line in text.splitlines()]


class LocalApic:
    """Its timer, and the ends of interrupts (Intel SDM 3A, 10.5.4 and 10.8.5)."""

    def __init__(self, pc: Pc, frequency: int) -> None:
        self.pc, self.frequency = pc, frequency
        self.initial, self.since = 0, 0
        self.deadline = 0  # of the TSC
        self.ended: Callable[[], None] = lambda: None

    def read(self, offset: int) -> int:
        assert offset == 0x390, "no register that is asked for here"
        return max(0, self.initial - self.pc.ticks(self.frequency, self.since))

    def write(self, offset: int, value: int) -> None:
        if offset == 0xB0:
            assert value == 0
            self.ended()
            return
        assert offset == 0x380, "no register that is written here"
        self.initial, self.since = value, self.pc.now

    def write_msr(self, register: int, value: int) -> None:
        assert register == TSC_DEADLINE
        self.deadline = value

    @property
    def rings_at(self) -> int | None:
        """In fs. None: it is off."""
        if self.deadline:
            return max(self.pc.now, -(-self.deadline * FEMTO // self.pc.tsc))
        return self.since - -self.initial * FEMTO // self.frequency if self.initial else None


class Hpet:
    """IA-PC HPET Specification 1.0a, 2.3. Bits of the configuration that nobody names are kept."""

    def __init__(self, pc: Pc, period: int, start: int = 0, wide: bool = True, settings: int = 0, dead: bool = False):
        self.pc, self.period, self.start, self.wide, self.dead = pc, period, start, wide, dead
        self.settings = settings
        self.kept = settings & ~3
        self.since = pc.now
        pc.put(HPET, 0x400, self)

    @property
    def counter(self) -> int:
        """It may be written, and then runs, only from where it stands: while it is off it stands still."""
        passed = (self.pc.now - self.since) // self.period if self.settings & 1 and not self.dead else 0
        return self.start + passed & (2**64 - 1 if self.wide else 2**32 - 1)

    def read(self, offset: int) -> int:
        match offset:
            case 0x000:
                return 0x8086 << 16 | 1 << 15 | self.wide << 13 | 2 << 8 | 1
            case 0x004:
                return self.period
            case 0x010:
                return self.settings
            case 0x0F0:
                return self.counter & 2**32 - 1
            case 0x0F4:
                return self.counter >> 32
        raise AssertionError(f"read of register {offset:#x}")

    def write(self, offset: int, value: int) -> None:
        assert offset == 0x010, f"write of register {offset:#x}"
        assert value & ~3 == self.kept, "reserved bits change"
        assert not value & 2, "it takes the place of the PIT"
        if value & 1 and not self.settings & 1:
            self.since = self.pc.now
        self.settings = value


class PmTimer:
    """ACPI Specification 6.5, 4.8.3.3: one register that only reads. Of 24 bits: what is above is nobody's."""

    HERTZ = 3_579_545

    def __init__(self, pc: Pc, bits: int, start: int = 0, junk: int = 0, frequency: int = HERTZ) -> None:
        self.pc, self.bits, self.start, self.junk, self.frequency = pc, bits, start, junk, frequency

    def read(self, offset: int) -> int:
        assert offset == 0
        above = 0 if self.bits == 32 else self.junk << 24
        return self.start + self.pc.ticks(self.frequency) & (1 << self.bits) - 1 | above

    def write(self, offset: int, value: int) -> None:
        raise AssertionError("nothing can be written")


class Pit:
    """Channel 2 of the 8254, the port that holds its gate and the speaker (bits 0 and 1; others are kept), and what
    channel 0 is told.
    """

    HERTZ = 1_193_182

    def __init__(self, pc: Pc, control: int = 0x30, dead: bool = False) -> None:
        self.pc, self.dead = pc, dead
        self.control = control
        self.others = control & 0xFC
        self.mode: int | None = None
        self.written: list[int] = []
        self.since: int | None = None
        self.latched: list[int] = []
        self.ticks: list[int] = []  # the command and the count of channel 0
        pc.put_port(0x40, 1, Pit.At(self, "tick"))
        pc.put_port(0x42, 1, self)
        pc.put_port(0x43, 1, Pit.At(self, "command"))
        pc.put_port(0x61, 1, Pit.At(self, "gate"))

    class At:
        def __init__(self, pit: Pit, what: str) -> None:
            self.pit, self.what = pit, what

        def read(self, offset: int) -> int:
            assert self.what == "gate", "the command cannot be read"
            return self.pit.control

        def write(self, offset: int, value: int) -> None:
            getattr(self.pit, self.what)(value)

    def gate(self, value: int) -> None:
        assert value & 0xFC == self.others & 0xFC and not value & 2
        self.control = value

    def tick(self, value: int) -> None:
        self.ticks.append(value)

    def command(self, value: int) -> None:
        if value >> 6 == 0:
            self.ticks = [value]
            return
        assert value >> 6 == 2, "another channel's"
        if value & 0x30 == 0:
            if not self.latched:
                self.latched = [self.count & 0xFF, self.count >> 8]
            return
        assert value == 0xB4, "mode 2, both bytes, binary"
        self.mode, self.written, self.since, self.latched = 2, [], None, []

    @property
    def count(self) -> int:
        """From 65536, which reads as 0, down to 1."""
        if self.since is None or not self.control & 1 or self.dead:
            return 0
        return -self.pc.ticks(self.HERTZ, self.since) & 0xFFFF

    def read(self, offset: int) -> int:
        assert self.latched, "a byte of a count that moves on"
        return self.latched.pop(0)

    def write(self, offset: int, value: int) -> None:
        assert self.mode == 2 and len(self.written) < 2
        self.written.append(value)
        if len(self.written) == 2:
            assert self.written == [0, 0]
            self.since = self.pc.now


class IoApic:
    """Intel 82093AA, 3.0, with as many inputs as its version register says. `sent` takes the messages to local APICs:
    (destination, vector)."""

    def __init__(self, pc: Pc, base: int, inputs: int = 24, version: int = 0x20) -> None:
        self.pc, self.inputs = pc, inputs
        self.version = version
        self.selected = 0
        self.entries = [1 << 16] * inputs  # as reset leaves them: masked
        self.lines = [False] * inputs  # as they are driven: high
        self.sent: list[tuple[int, int]] = []
        pc.put(base, 0x20, self)

    def read(self, offset: int) -> int:
        if offset == 0x00:
            return self.selected
        assert offset == 0x10
        if self.selected == 1:
            return self.inputs - 1 << 16 | self.version
        return self.entries[self._input()] >> 32 * (self.selected & 1) & 2**32 - 1

    def write(self, offset: int, value: int) -> None:
        if offset == 0x00:
            assert value <= 0xFF, "registers have numbers of eight bits"
            self.selected = value
            return
        assert offset == 0x10
        at = self._input()
        old = self.entries[at]
        if self.selected & 1:
            assert old & 1 << 16, f"input {at} changes its destination while it is enabled"
            assert value & 0x00FF_FFFF == 0
            self.entries[at] = old & 2**32 - 1 | value << 32
            return
        assert value & ~0x1_AFFF == 0, "reserved bits, or those that only read"
        assert value & 0xF00 == 0, "neither fixed delivery nor a physical destination"
        assert value & 1 << 16 or (value & 0xFF) >= 0x10, "a vector that is the CPU's own"
        if not old & 1 << 16 and not value & 1 << 16:
            assert old & 0xA0FF == value & 0xA0FF, f"input {at} changes while it is enabled"
        remote = old & 1 << 14 if value & 1 << 15 else 0
        self.entries[at] = old & ~(2**32 - 1) | value | remote
        self._evaluate(at)

    def _input(self) -> int:
        assert self.selected >= 0x10, f"register {self.selected:#x}"
        at = (self.selected - 0x10) // 2
        assert at < self.inputs, f"input {at}, which there is not"
        return at

    # What devices and CPUs do

    def active(self, at: int) -> bool:
        return self.lines[at] != bool(self.entries[at] & 1 << 13)

    def drive(self, at: int, high: bool) -> None:
        was = self.active(at)
        self.lines[at] = high
        entry = self.entries[at]
        if not was and self.active(at) and not entry & (1 << 15 | 1 << 16):
            self._send(at)
        self._evaluate(at)

    def end(self, vector: int) -> None:
        """A local APIC has told everybody that it is done with an interrupt that came as a level."""
        for at, entry in enumerate(self.entries):
            if entry & 1 << 14 and entry & 0xFF == vector:
                self.entries[at] &= ~(1 << 14)
                self._evaluate(at)

    def _evaluate(self, at: int) -> None:
        entry = self.entries[at]
        if entry & 1 << 15 and not entry & (1 << 14 | 1 << 16) and self.active(at):
            self.entries[at] |= 1 << 14
            self._send(at)

    def _send(self, at: int) -> None:
        self.sent.append((self.entries[at] >> 56, self.entries[at] & 0xFF))
