"""I/O APICs and who owns their interrupts, against a model of the hardware."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from compiler.hostbuild import Raised
from tests.common.host import EINVAL, ENOSPC
from tests.x86.pc_devices import IO_APIC, IoApic, Pc

EBUSY, ENODEV = 16, 19
OWNERS = "hv.x86.interrupts.interrupts"
ADD = "sim.x86_devices.add_io_apic"
FIRST_DEVICE, LAST_DEVICE, SPURIOUS = 0x30, 0xEF, 0xFF
MASKED = 1 << 16


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    Pc().host.cleared("hv.sim.machine.machine")
    Pc.running.host.cleared("hv.sim.x86_devices.cpu")


class Machine:
    """I/O APICs with inputs of the sizes given, one behind the other, as a firmware may leave them: some unmasked."""

    def __init__(self, *sizes: int, left: int = 0x0700_0000_0000_A0B7) -> None:
        self.pc = Pc()
        self.owners = self.pc.host.cleared(OWNERS)
        self.all = self.pc.host.cleared("hv.x86.ioapic.io_apics")
        self.apics: list[tuple[int, IoApic]] = []
        self.log: list[tuple[str, int]] = []
        self.handlers: dict[int, Any] = {}
        self.pc.apic.ended = lambda: self.log.append(("end", 0))
        first = 0
        for i, inputs in enumerate(sizes):
            apic = IoApic(self.pc, IO_APIC + i * 0x1000, inputs)
            apic.entries[::3] = [left] * len(apic.entries[::3])
            self.apics.append((first, apic))
            self.pc.call(ADD, IO_APIC + i * 0x1000, first)
            first += inputs
        self.gsis = first

    def at(self, gsi: int) -> tuple[IoApic, int]:
        for first, apic in reversed(self.apics):
            if gsi >= first:
                return apic, gsi - first
        raise AssertionError(gsi)

    def claim(self, gsi: int, apic_id: int = 0, active_low: bool = False, level: bool = False) -> int:
        """Its errno."""
        line = {"gsi": gsi, "active_low": active_low, "level": level}
        handler = self.pc.host.ffi.callback("void(unsigned int)", lambda number: self.log.append(("handler", number)))
        kind = self.pc.host.ffi.new("common_drivers_acpi_madt_Line *", line)
        try:
            self.pc.call("x86.interrupts.Interrupts.claim", self.owners, kind[0], apic_id, handler)
        except Raised as raised:
            self.pc.check()
            return raised.code
        self.handlers[gsi] = handler
        return 0

    def take(self, vector: int) -> list[tuple[str, int]]:
        """What a CPU does that takes it."""
        self.log.clear()
        self.pc.call("x86.interrupts.interrupt_taken", vector)
        return self.log


@pytest.mark.parametrize("sizes", [(24,), (1,), (120,), (24, 8, 24), (32, 32), (1, 1, 1)])
def test_what_is_taken_over_is_masked(sizes: tuple[int, ...]) -> None:
    """Whatever a firmware left enabled or half delivered, nothing comes."""
    machine = Machine(*sizes)
    for _, apic in machine.apics:
        assert all(entry & MASKED for entry in apic.entries)
        for at in range(apic.inputs):
            apic.drive(at, not apic.lines[at])
            apic.drive(at, not apic.lines[at])
        assert not apic.sent
    assert machine.all.count == len(sizes)
    assert [apic.count for apic in machine.all.all[0 : len(sizes)]] == list(sizes)


def test_an_apic_that_says_too_many_has_what_its_registers_can_name() -> None:
    machine = Machine()
    apic = IoApic(machine.pc, IO_APIC, 256)
    machine.pc.call(ADD, IO_APIC, 0)
    assert machine.all.all[0].count == 120 and all(entry & MASKED for entry in apic.entries)
    assert machine.claim(119) == 0 and machine.claim(120) == EINVAL


def test_where_nothing_answers_there_is_none() -> None:
    machine = Machine()
    assert machine.pc.host.errno(f"hv.{ADD}", IO_APIC, 0) == ENODEV and machine.pc.windows == 0
    assert machine.all.count == 0 and machine.claim(0) == EINVAL


def test_more_than_64_are_left_alone() -> None:
    machine = Machine(*[2] * 64)
    IoApic(machine.pc, IO_APIC + 64 * 0x1000)
    assert machine.pc.host.errno(f"hv.{ADD}", IO_APIC + 64 * 0x1000, 128) == ENOSPC
    assert machine.claim(127) == 0 and machine.claim(128) == EINVAL


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_which_apic_has_an_interrupt(first: int, gsi: int) -> None:
    """Also where the global numbers end."""
    machine = Machine()
    IoApic(machine.pc, IO_APIC, 24)
    machine.pc.call(ADD, IO_APIC, first)
    for asked in (gsi, first - 1, first, first + 23, first + 24):
        if 0 <= asked < 2**32:
            found = machine.pc.call("x86.ioapic.IoApics.find", machine.all, asked)
            assert bool(found) == (first <= asked < first + 24)


@given(st.booleans(), st.booleans(), st.integers(0, 0xFE), st.integers(0, 31))
@settings(max_examples=40)
def test_a_claim_is_what_the_entry_says(active_low: bool, level: bool, apic_id: int, gsi: int) -> None:
    machine = Machine(24, 8)
    assert machine.claim(gsi, apic_id, active_low, level) == 0
    apic, at = machine.at(gsi)
    vector = apic.entries[at] & 0xFF
    assert vector == FIRST_DEVICE
    expected = apic_id << 56 | level << 15 | active_low << 13 | vector
    if level and active_low:  # the line is driven low, so it came at once
        assert apic.sent == [(apic_id, vector)]
        expected |= 1 << 14
    assert apic.entries[at] == expected
    others = [entry for a in (apic, *(a for _, a in machine.apics if a is not apic)) for entry in a.entries]
    assert sum(not entry & MASKED for entry in others) == 1


@pytest.mark.parametrize("apic_id", [0xFF, 0x100, 2**32 - 1])
def test_a_cpu_that_eight_bits_do_not_name_cannot_be_reached(apic_id: int) -> None:
    machine = Machine(24)
    assert machine.claim(4, apic_id) == EINVAL
    assert all(entry & MASKED for entry in machine.apics[0][1].entries)


def test_an_interrupt_has_one_owner() -> None:
    machine = Machine(24)
    assert machine.claim(4, 1) == 0
    entry = machine.apics[0][1].entries[4]
    assert machine.claim(4, 2) == EBUSY and machine.apics[0][1].entries[4] == entry


def test_when_all_vectors_are_taken_the_next_is_refused_and_stays_masked() -> None:
    machine = Machine(120, 120)
    vectors = [machine.claim(gsi) for gsi in range(LAST_DEVICE - FIRST_DEVICE + 1)]
    assert set(vectors) == {0}
    enabled = [entry & 0xFF for _, apic in machine.apics for entry in apic.entries if not entry & MASKED]
    assert sorted(enabled) == list(range(FIRST_DEVICE, LAST_DEVICE + 1))
    assert machine.claim(210) == ENOSPC and machine.apics[1][1].entries[90] & MASKED
    assert machine.claim(0) == EBUSY


def test_an_edge_is_ended_before_its_handler_and_a_level_behind_it() -> None:
    machine = Machine(24)
    machine.claim(4, level=False)
    machine.claim(5, level=True)
    assert machine.take(FIRST_DEVICE) == [("end", 0), ("handler", 4)]
    assert machine.take(FIRST_DEVICE + 1) == [("handler", 5), ("end", 0)]


def test_an_interrupt_without_owner_is_ended_and_told() -> None:
    machine = Machine(24)
    machine.pc.host.call("hv.sim.console.attach")
    machine.pc.host.printed()
    assert machine.take(0x77) == [("end", 0)]
    assert "the interrupt with vector 119 has no owner" in machine.pc.host.printed()


@pytest.mark.parametrize("vector", [SPURIOUS, 0x20, 0x27, 0x2F])
def test_what_nobody_sent_is_not_ended(vector: int) -> None:
    """A spurious interrupt, and vectors of the masked PICs: ending one would end another that is served."""
    assert Machine(24).take(vector) == []


def test_what_each_cpu_took_is_counted() -> None:
    machine = Machine(24)
    machine.claim(4)
    taken = machine.pc.host.per_cpu(0, "hv.x86.interrupts.Taken").counts
    before = taken[FIRST_DEVICE], taken[SPURIOUS]
    for _ in range(3):
        machine.take(FIRST_DEVICE)
    machine.take(SPURIOUS)
    assert (taken[FIRST_DEVICE], taken[SPURIOUS]) == (before[0] + 3, before[1] + 1)


class Traffic(RuleBasedStateMachine):
    """Devices on two I/O APICs, and one CPU that takes what comes: each edge comes once, a level until it is let go."""

    SIZES = (8, 4)

    @initialize()
    def boot(self) -> None:
        self.machine = Machine(*self.SIZES)
        self.kinds: dict[int, tuple[bool, bool]] = {}  # by number: active low, level
        self.edges: dict[int, int] = {}
        self.asserted: set[int] = set()

    @rule(gsi=st.integers(0, 13), active_low=st.booleans(), level=st.booleans(), apic_id=st.integers(0, 3))
    def claim(self, gsi: int, active_low: bool, level: bool, apic_id: int) -> None:
        if gsi in self.kinds or gsi >= 12:
            assert self.machine.claim(gsi, apic_id, active_low, level) == (EINVAL if gsi >= 12 else EBUSY)
            return
        apic, at = self.machine.at(gsi)
        apic.lines[at] = active_low  # the device is quiet
        assert self.machine.claim(gsi, apic_id, active_low, level) == 0
        self.kinds[gsi] = active_low, level
        self.edges[gsi] = 0

    @rule(gsi=st.integers(0, 11))
    def assert_line(self, gsi: int) -> None:
        apic, at = self.machine.at(gsi)
        active_low, level = self.kinds.get(gsi, (False, False))
        if gsi in self.kinds and gsi not in self.asserted:
            self.asserted.add(gsi)
            self.edges[gsi] += not level
        apic.drive(at, not active_low)

    @rule(gsi=st.integers(0, 11))
    def let_go(self, gsi: int) -> None:
        apic, at = self.machine.at(gsi)
        self.asserted.discard(gsi)
        apic.drive(at, self.kinds.get(gsi, (False, False))[0])

    @rule(quieten=st.booleans())
    def take_all(self, quieten: bool) -> None:
        """`quieten`: handlers see to it that their devices let go."""
        for _, apic in self.machine.apics:
            waiting, apic.sent = apic.sent, []
            for _, vector in waiting:
                log = self.machine.take(vector)
                (gsi,) = [number for what, number in log if what == "handler"]
                if self.kinds[gsi][1]:
                    if quieten:
                        self.let_go(gsi)
                    apic.end(vector)
                else:
                    self.edges[gsi] -= 1

    @invariant()
    def nothing_is_lost(self) -> None:
        for gsi, (_, level) in self.kinds.items():
            apic, at = self.machine.at(gsi)
            on_the_way = sum(vector == apic.entries[at] & 0xFF for _, vector in apic.sent)
            if level:
                assert on_the_way >= (gsi in self.asserted)
            else:
                assert on_the_way == self.edges[gsi]
        self.machine.pc.check()


Traffic.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestTraffic = Traffic.TestCase
