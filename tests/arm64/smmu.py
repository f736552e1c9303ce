"""An SMMUv3 by its registers and by what it reads and writes in memory (Arm IHI 0070), as the hardware answers.

It does with the architecture's leave what makes most trouble: whatever it has once read (a stream table's entry, valid
or not, a context descriptor, an entry of a page table, a translation) it remembers until it is told to forget it, and
uses before anything newer. `look` lets it read all that it may of its own accord. Where it does not snoop, it sees
what has been cleaned to memory alone. What the architecture forbids is a finding, since an exception cannot cross the
library.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.common.guests import RAM_BASE, RAM_BYTES, Machine

BYTES = 0x2_0000
IDR0, IDR1, IDR5, CR0, CR0ACK, CR1, CR2, GBPA = 0x00, 0x04, 0x14, 0x20, 0x24, 0x28, 0x2C, 0x44
IRQ_CTRL, IRQ_CTRLACK, GERROR, GERRORN = 0x50, 0x54, 0x60, 0x64
STRTAB_BASE, STRTAB_BASE_CFG, CMDQ_BASE, CMDQ_PROD, CMDQ_CONS, EVENTQ_BASE = 0x80, 0x88, 0x90, 0x98, 0x9C, 0xA0
EVENTQ_PROD, EVENTQ_CONS = 0x1_00A8, 0x1_00AC
PLAIN = {CR1, CR2, GERRORN, CMDQ_CONS, EVENTQ_CONS, EVENTQ_PROD, STRTAB_BASE_CFG}
PLAIN |= {at + half for at in (STRTAB_BASE, CMDQ_BASE, EVENTQ_BASE) for half in (0, 4)}
PLAIN |= {at + half for at in (0x68, 0xB0) for half in (0, 4)}  # where messages of interrupts would go
ENABLED, EVENTS, COMMANDS = 1, 4, 8
ABORT, UPDATE = 1 << 20, 1 << 31
WRAP = 1 << 20
OVERFLOW = 1 << 31
COMMAND_ERROR, EVENT_ERROR, SERVICE_ERROR = 1, 4, 0x100
BAD_STREAM, BAD_STE, BAD_CD, TRANSLATION, ADDRESS_SIZE, ACCESS_FLAG, PERMISSION = 2, 4, 0xA, 0x10, 0x11, 0x12, 0x13
SIZES = (32, 36, 40, 42, 44, 48)
OFF = (1 << 52) - (1 << 12)  # an address's bits in a descriptor


def idr0(stage1: bool = True, stage2: bool = False, snoops: bool = True, levels: int = 1, **more: int) -> int:
    """As QEMU's, but for what is said otherwise."""
    fields = {"formats": 2, "asid16": 1, "endian": 2, "stall": 1, "terminates": 1, **more}
    places = {"formats": 2, "el2": 9, "asid16": 12, "msi": 13, "endian": 21, "stall": 24, "terminates": 26}
    value = int(stage2) | int(stage1) << 1 | int(snoops) << 4 | levels << 27
    return value | sum(number << places[name] for name, number in fields.items())


@dataclass
class Cached:
    """A translation: `size` bytes from `start` on are at `to`."""

    start: int
    size: int
    to: int
    writable: bool
    device: bool
    own: bool  # of its address space alone

    def holds(self, address: int) -> bool:
        return self.start <= address < self.start + self.size


@dataclass
class Space:
    """What is remembered with one tag."""

    leaves: list[Cached] = field(default_factory=list)
    tables: dict[tuple[int, int], int] = field(default_factory=dict)  # level, the addresses' upper bits -> table


class Fault(Exception):
    def __init__(self, kind: int, records: bool = True) -> None:
        super().__init__(f"fault {kind:#x}")
        self.kind = kind
        self.records = records


@dataclass
class Way:
    """How a stream's transactions are translated."""

    stage2: bool
    tag: int
    root: int
    bits: int
    level: int  # of the root's entries
    output: int  # bits
    records: bool
    memory: int = 0  # MAIR


class Smmu:
    """`id0`: IDR0. Knobs: `stuck` does no commands, `deaf` acknowledges nothing, `refuses` a command by its number,
    `ignores` some as if they had not been given, `without_gbpa`: as some emulators, it knows no GBPA, and lets
    everything pass while it is off.
    """

    def __init__(
        self,
        machine: Machine,
        id0: int | None = None,
        base: int = 0x905_0000,
        stream_bits: int = 16,
        queue_bits: int = 19,
        output: int = 4,
    ) -> None:
        self.machine = machine
        self.base = base
        self.id0 = idr0() if id0 is None else id0
        self.ids = {IDR0: self.id0, IDR1: stream_bits | queue_bits << 16 | queue_bits << 21, IDR5: 0x70 | output}
        self.plain = dict.fromkeys(PLAIN, 0)
        self.control = self.gbpa = self.interrupts = self.errors = self.produced = 0
        self.stuck = self.deaf = self.without_gbpa = False
        self.refuses: int | None = None
        self.ignores: set[int] = set()
        self.findings: list[str] = []
        self.commands: list[int] = []  # what was done, by number
        self.streams: dict[int, bytes | None] = {}  # entries that were read; None: there was no table for it
        self.contexts: dict[int, bytes] = {}  # by stream
        self.spaces: dict[tuple[bool, int], Space] = {}  # stage 2 or not, and the tag
        self.interrupt = self.error_interrupt = False  # edges that have come

    @property
    def snoops(self) -> bool:
        return bool(self.id0 & 1 << 4)

    @property
    def on(self) -> bool:
        return bool(self.control & ENABLED)

    # Registers

    def read(self, offset: int) -> int:
        self.machine.advance(1000)
        if offset in self.ids:
            return self.ids[offset]
        if offset in self.plain:
            return self.plain[offset]
        match offset:
            case 0x20 | 0x24:
                return 0xF00 if self.deaf and offset == CR0ACK else self.control
            case 0x44:
                return 0 if self.without_gbpa else self.gbpa
            case 0x50 | 0x54:
                return self.interrupts
            case 0x60:
                return self.errors
            case 0x98:
                return self.produced
        raise AssertionError(f"read of register {offset:#x}")

    def write(self, offset: int, value: int) -> None:
        match offset:
            case 0x20:
                self._turn(value)
            case 0x44:
                assert value & UPDATE, "GBPA is written without UPDATE"
                self.gbpa = value & ~UPDATE
            case 0x50:
                self.interrupts = value
            case 0x98:
                self.produced = value
                self.machine.call("hv.sim.changes.publish")  # the barrier before the register is written
                self._do_commands()
            case _:
                assert offset in self.plain, f"write of register {offset:#x}"
                held = CMDQ_BASE <= offset < EVENTQ_BASE + 8 or STRTAB_BASE <= offset <= STRTAB_BASE_CFG
                free = {CMDQ_CONS: COMMANDS}.get(offset, 0)
                assert not held or not self.control & (self.control_of(offset) | free), f"{offset:#x} is in use"
                self.plain[offset] = value

    def control_of(self, offset: int) -> int:
        """Which bits of CR0 forbid that a register is written."""
        if offset < CMDQ_BASE:
            return ENABLED
        return COMMANDS if offset < EVENTQ_BASE else EVENTS

    def _turn(self, value: int) -> None:
        if value & ENABLED and not self.control & ENABLED:
            assert self.gbpa & ABORT or self.without_gbpa, "it is turned on, and let everything pass until then"
            assert value & COMMANDS and value & EVENTS, "it is on without queues"
            assert self.plain[CR2] & 4, "the CPUs' invalidations reach it"
        self.control = value

    def wide(self, register: int) -> int:
        return self.plain[register] | self.plain[register + 4] << 32

    # Memory

    def memory(self, address: int, size: int) -> bytes:
        assert RAM_BASE <= address and address + size <= RAM_BASE + RAM_BYTES, f"{address:#x} is no memory"
        if self.snoops:
            return bytes(self.machine.memory(address, size))
        ffi = self.machine.ffi
        seen = ffi.cast("char *", self.machine.host.variable("hv.sim.visibility.seen"))
        return bytes(ffi.buffer(seen + (address - RAM_BASE), size))

    def word(self, address: int) -> int:
        return int(struct.unpack("<Q", self.memory(address, 8))[0])

    # Commands

    def _do_commands(self) -> None:
        base = self.wide(CMDQ_BASE)
        bits = base & 0x1F
        active = (self.errors ^ self.plain[GERRORN]) & COMMAND_ERROR
        while self.control & COMMANDS and not self.stuck and not active and self.plain[CMDQ_CONS] != self.produced:
            at = self.plain[CMDQ_CONS]
            where = (base & OFF) + (at & (1 << bits) - 1) * 16
            first, second = struct.unpack("<QQ", self.memory(where, 16))
            done = first & 0xFF in self.ignores or self._do(first, second)
            if first & 0xFF == self.refuses or not done:
                self.plain[CMDQ_CONS] |= 1 << 24
                self.errors ^= COMMAND_ERROR
                self.error_interrupt = True
                return
            self.commands.append(first & 0xFF)
            self.plain[CMDQ_CONS] = at + 1 & (2 << bits) - 1

    def _do(self, first: int, second: int) -> bool:
        """False: there is no such command."""
        stage1, stage2 = self.id0 & 2, self.id0 & 1
        match first & 0xFF:
            case 0x04:
                start = first >> 32
                size = 2 << (second & 0x1F)
                for stream in list(self.streams):
                    if second & 0x1F == 31 or start & ~(size - 1) <= stream < (start & ~(size - 1)) + size:
                        self.streams.pop(stream)
                        self.contexts.pop(stream, None)
            case 0x11 if stage1:
                self._forget_own(False, first >> 48)
            case 0x12 if stage1:
                self._forget_at(False, first >> 48, second & ~0xFFF)
            case 0x20 if self.id0 & 1 << 9:
                pass
            case 0x28 if stage2:
                self.spaces.pop((True, first >> 32 & 0xFFFF), None)
            case 0x2A if stage2:
                self._forget_at(True, first >> 32 & 0xFFFF, second & ~0xFFF)
            case 0x30:
                self.spaces.clear()
            case 0x46:
                pass
            case _:
                self.findings.append(f"command {first:#x} {second:#x}")
                return False
        return True

    def _forget_own(self, stage2: bool, tag: int) -> None:
        space = self.spaces.get((stage2, tag), Space())
        space.leaves = [leaf for leaf in space.leaves if not leaf.own]
        space.tables.clear()

    def _forget_at(self, stage2: bool, tag: int, address: int) -> None:
        space = self.spaces.get((stage2, tag), Space())
        space.leaves = [leaf for leaf in space.leaves if not leaf.holds(address)]
        for level, upper in list(space.tables):
            if address >> 12 + 9 * (4 - level) == upper:
                space.tables.pop((level, upper))

    # Transactions

    def access(self, stream: int, address: int, write: bool) -> int | None:
        """Where in the machine a device's access goes; None: it is aborted, and an event may tell."""
        if not self.on:
            return None if self.gbpa & ABORT and not self.without_gbpa else address
        try:
            way = self.way(stream)
            try:
                leaf = self.leaf(way, address)
                if write and not leaf.writable:
                    raise Fault(PERMISSION)
            except Fault as fault:
                raise Fault(fault.kind, way.records) from None
        except Fault as fault:
            if fault.records:
                self.tell(fault.kind, stream, address, write)
            return None
        return leaf.to + address - leaf.start

    def look(self, streams: list[int], addresses: list[int]) -> None:
        """What it may do at any time: it reads what these streams would use, and keeps it."""
        for stream in streams if self.on else []:
            try:
                way = self.way(stream)
            except Fault:
                continue
            for address in addresses:
                try:
                    self.leaf(way, address)
                except Fault:
                    continue

    def way(self, stream: int) -> Way:
        if stream not in self.streams:
            self.streams[stream] = self.entry(stream)
        entry = self.streams[stream]
        if entry is None:
            raise Fault(BAD_STREAM, bool(self.plain[CR2] & 2))
        words = struct.unpack("<8Q", entry)
        config = words[0] >> 1 & 7
        if not words[0] & 1:
            raise Fault(BAD_STE)
        if config == 5 and self.id0 & 2:
            return self._stage1(stream, words)
        if config == 6 and self.id0 & 1:
            return self._stage2(words)
        self.findings.append(f"stream table entry {words}")
        raise Fault(BAD_STE)

    def entry(self, stream: int) -> bytes | None:
        base, config = self.wide(STRTAB_BASE) & OFF | self.wide(STRTAB_BASE) & 0xFC0, self.plain[STRTAB_BASE_CFG]
        if stream >> (config & 0x3F):
            return None
        if not config >> 16 & 3:
            return self.memory(base + stream * 64, 64)
        split = config >> 6 & 0x1F
        level = self.word(base + (stream >> split) * 8)
        span = level & 0x1F
        if span == 0 or stream & (1 << split) - 1 >= 1 << span - 1:
            return None
        return self.memory((level & OFF) + (stream & (1 << split) - 1) * 64, 64)

    def _stage1(self, stream: int, words: tuple[int, ...]) -> Way:
        if stream not in self.contexts:
            self.contexts[stream] = self.memory(words[0] & OFF | words[0] & 0xFC0, 64)
        head, root, _, memory = struct.unpack("<4Q", self.contexts[stream][:32])
        bits = 64 - (head & 0x3F)
        right = head >> 31 & 1 and head >> 41 & 1 and head >> 46 & 1  # valid, AArch64, aborts
        if not right or head >> 44 & 1 or not head >> 30 & 1 or not 25 <= bits <= 48 or head >> 6 & 3:
            self.findings.append(f"context descriptor {head:#x}")
            raise Fault(BAD_CD)
        self._check_cached(head)
        level = 4 - -(-(bits - 12) // 9)
        return Way(False, head >> 48, root & OFF, bits, level, self._output(head >> 32 & 7), True, memory)

    def _stage2(self, words: tuple[int, ...]) -> Way:
        word = words[2]
        bits, level = 64 - (word >> 32 & 0x3F), 2 - (word >> 38 & 3)
        widest = 12 + 9 * (4 - level) + 4
        right = word >> 51 & 1 and not word >> 46 & 3 and not word >> 57 & 1
        if not right or not widest - 13 < bits <= min(widest, SIZES[min(self.ids[IDR5] & 7, 5)]):
            self.findings.append(f"stage 2 of a stream table entry {word:#x}")
            raise Fault(BAD_STE)
        self._check_cached(word >> 32)
        output = self._output(word >> 48 & 7)
        return Way(True, word & 0xFFFF, words[3] & OFF, bits, level, output, bool(word >> 58 & 1))

    def _output(self, encoded: int) -> int:
        return SIZES[min(encoded, self.ids[IDR5] & 7, 5)]

    def _check_cached(self, word: int) -> None:
        """Walks that do not snoop go past the caches."""
        if bool(word >> 8 & 0xF) != self.snoops:
            self.findings.append(f"walks are {'cached' if word >> 8 & 0xF else 'not cached'}")

    def leaf(self, way: Way, address: int) -> Cached:
        space = self.spaces.setdefault((way.stage2, way.tag), Space())
        for leaf in space.leaves:
            if leaf.holds(address):
                return leaf
        if address >> way.bits:
            raise Fault(TRANSLATION)
        table = way.root
        for level in range(way.level, 4):
            shift = 12 + 9 * (3 - level)
            known = (level, address >> shift + 9)
            if level != way.level:
                table = space.tables.setdefault(known, table)
            index = address >> shift & (0x1FFF if level == way.level else 0x1FF)
            entry = self.word(table + index * 8)
            if not entry & 1 or (level in (0,) and not entry & 2) or (level == 3 and not entry & 2):
                raise Fault(TRANSLATION)
            if level == 3 or not entry & 2:
                leaf = self._cache(way, entry, address >> shift << shift, 1 << shift)
                space.leaves.append(leaf)
                return leaf
            table = entry & OFF & (1 << 48) - 1
        raise AssertionError("a walk without end")

    def _cache(self, way: Way, entry: int, start: int, size: int) -> Cached:
        to = entry & OFF & (1 << 48) - 1
        if to & size - 1:
            self.findings.append(f"leaf {entry:#x} is not aligned")
        if to >> way.output:
            raise Fault(ADDRESS_SIZE)
        if not entry & 1 << 10:
            raise Fault(ACCESS_FLAG)
        if way.stage2:
            if not entry & 1 << 6:
                raise Fault(PERMISSION)
            return Cached(start, size, to, bool(entry & 1 << 7), entry >> 2 & 0xF == 1, True)
        if not entry & 1 << 6:
            raise Fault(PERMISSION)
        memory = way.memory >> 8 * (entry >> 2 & 7) & 0xFF
        return Cached(start, size, to, not entry & 1 << 7, memory == 4, bool(entry & 1 << 11))

    # Events

    def tell(self, kind: int, stream: int, address: int, write: bool) -> None:
        """An event finds room in the queue, or is lost."""
        base = self.wide(EVENTQ_BASE)
        bits = base & 0x1F
        mask = (2 << bits) - 1
        produced, consumed = self.plain[EVENTQ_PROD], self.plain[EVENTQ_CONS]
        if not self.control & EVENTS:
            return
        if (produced ^ consumed) & mask == 1 << bits:
            if (produced ^ consumed) & OVERFLOW == 0:
                self.plain[EVENTQ_PROD] = produced ^ OVERFLOW
            return
        where = (base & OFF) + (produced & (1 << bits) - 1) * 32
        record = struct.pack("<4Q", kind | stream << 32, 0 if write else 1 << 35, address, 0)
        self.machine.memory(where, 32)[:] = record
        if produced & mask == consumed & mask and self.interrupts & 4:
            self.interrupt = True
        self.plain[EVENTQ_PROD] = produced & OVERFLOW | (produced & mask) + 1 & mask

    def err(self, bit: int) -> None:
        self.errors ^= bit
        self.error_interrupt = bool(self.interrupts & 1)


class Smmus:
    """Those of a machine: accesses to registers come here."""

    def __init__(self, machine: Machine, *smmus: Smmu) -> None:
        self.machine = machine
        self.smmus = smmus
        ffi = machine.ffi
        self._read = ffi.callback("unsigned int(unsigned long)", self._reads)
        self._written = ffi.callback("void(unsigned long, unsigned int)", self._writes)
        simulated: Any = machine.machine
        simulated.register_read = self._read
        simulated.register_written = self._written

    def _reads(self, address: int) -> int:
        return int(self._guarded(address, lambda smmu, offset: smmu.read(offset)) or 0)

    def _writes(self, address: int, value: int) -> None:
        self._guarded(address, lambda smmu, offset: smmu.write(offset, value))

    def _guarded(self, address: int, action: Callable[[Smmu, int], Any]) -> Any:
        for smmu in self.smmus:
            if smmu.base <= address < smmu.base + BYTES:
                try:
                    return action(smmu, address - smmu.base)
                except Exception as problem:  # noqa: BLE001 (the library cannot pass it on)
                    smmu.findings.append(f"{problem!r} at {address:#x}")
        return None

    def check(self) -> None:
        for smmu in self.smmus:
            assert not smmu.findings, smmu.findings
