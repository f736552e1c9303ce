"""HPET, PM timer and PIT, what is measured against them, which is chosen, and the time that they give, against models.

Time is the models' own: it passes with each access, so that a test says how long a reading takes.
"""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler.hostbuild import Raised
from tests.common.drivers import acpi_writer as w
from tests.common.host import ending, host
from tests.x86.pc_devices import FEMTO, HPET, MICRO, PM_TIMER, SECOND, Hpet, Pc, Pit, PmTimer

EIO, ENODEV = 5, 19
DEVICES = "sim.x86_devices."
MEASURE = "x86.calibration.measure"
PM_MEMORY = 0xFED8_0808
CRYSTAL, INVARIANT = 0x15, 0x8000_0007


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    for name in ("hv.sim.machine.machine", "hv.sim.x86_devices.cpu", "hv.x86.timer.clock"):
        host().cleared(name)


def hpet_table(base: bytes = w.gas(0, 64, 0, HPET)) -> bytes:
    return w.table(b"HPET", struct.pack("<I12sBHB", 0x8086_A201, base, 0, 100, 0))


def fadt_table(bits: int = 32, register: bytes | None = None, port: int = PM_TIMER, length: int = 4) -> bytes:
    flags = (bits == 32) << 8
    return w.fadt(at76=port, at91=length, at112=flags, **({} if register is None else {"at208": register}))


def start_hpet(pc: Pc, table: bytes | None = None) -> Any:
    return pc.call(f"{DEVICES}start_hpet", host().bytes(hpet_table() if table is None else table)[0])


def start_pm_timer(pc: Pc, table: bytes) -> Any:
    return pc.call(f"{DEVICES}start_pm_timer", host().bytes(table)[0])


def read(clock: str, pc: Pc) -> int:
    kind, name = {"hpet": ("Hpet", "hpet"), "pm": ("PmTimer", "pm_timer"), "pit": ("Pit", "pit")}[clock]
    module = f"x86.{name}"
    return pc.call(f"{module}.{kind}.read", host().variable(f"hv.{module}.{name}"))


# Each clock


@given(
    st.sampled_from([69_841_279, 10_000_000, 100_000_000, 1_000_000]),
    st.booleans(),
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 1, 2, 3, 0x8000_0004]),
)
@settings(max_examples=40)
def test_the_hpet_counts_from_where_it_stands(period, wide, start, settings):
    """Whatever a firmware left on; reserved bits of its configuration are kept."""
    pc = Pc()
    start &= 2**64 - 1 if wide else 2**32 - 1
    hpet = Hpet(pc, period, start, wide, settings)
    start_hpet(pc)
    assert hpet.settings == settings & ~2 | 1
    assert host().variable("hv.x86.hpet.hpet").hertz == FEMTO // period
    for step in (0, period, 77 * period, period << 31, period << 32):
        pc.pass_time(step)
        assert read("hpet", pc) == hpet.counter & 2**32 - 1


@pytest.mark.parametrize(
    ("base", "period"),
    [
        (w.gas(1, 64, 0, HPET), 10_000_000),
        (w.gas(0, 64, 0, 0), 10_000_000),
        (w.gas(2, 64, 0, HPET), 10_000_000),
        (w.gas(0, 64, 0, HPET), 0),
        (w.gas(0, 64, 0, HPET), 100_000_001),
        (w.gas(0, 64, 0, HPET), 999_999),
        (w.gas(0, 64, 0, HPET + 0x1000), 10_000_000),
    ],
)
def test_an_hpet_that_cannot_be_one_is_left_alone(base, period):
    """A port, nowhere, configuration space; a period that is none, or beyond the specification's; nothing there."""
    pc = Pc()
    hpet = Hpet(pc, period)
    with pytest.raises(Raised) as refused:
        start_hpet(pc, hpet_table(base))
    assert refused.value.code == ENODEV and hpet.settings == 0 and pc.windows == 0
    pc.check()


@given(st.sampled_from([24, 32]), st.booleans(), st.integers(0, 2**32 - 1), st.integers(0, 255))
@settings(max_examples=40)
def test_the_pm_timer_begins_anew_at_its_width(bits, in_memory, start, junk):
    """Of 24 bits, what stands above them is not looked at."""
    pc = Pc()
    timer = PmTimer(pc, bits, start, junk)
    register = None
    if in_memory:
        pc.put(PM_MEMORY, 4, timer)
        register = w.gas(0, 32, 3, PM_MEMORY)
    else:
        pc.put_port(PM_TIMER, 4, timer)
    start_pm_timer(pc, fadt_table(bits, register))
    mask = (1 << bits) - 1
    it = host().variable("hv.x86.pm_timer.pm_timer")
    assert pc.call("x86.pm_timer.PmTimer.mask", it) == mask
    for ticks in (0, 1, mask - (start & mask), 1, mask // 2, mask):
        pc.pass_time(-(-ticks * FEMTO // PmTimer.HERTZ))
        assert read("pm", pc) == start + pc.ticks(PmTimer.HERTZ) & mask


@pytest.mark.parametrize(
    "table",
    [
        fadt_table(length=0),
        fadt_table(length=3),
        fadt_table(port=0),
        fadt_table(port=0x1_0608),
        fadt_table(register=w.gas(1, 32, 3, 0x1_0000)),
        fadt_table(register=w.gas(2, 32, 3, 0x608)),
        fadt_table(register=w.gas(0x7F, 32, 3, 0x608)),
    ],
)
def test_a_pm_timer_that_cannot_be_read_is_none(table):
    pc = Pc()
    pc.put_port(PM_TIMER, 4, PmTimer(pc, 32))
    with pytest.raises(Raised) as refused:
        start_pm_timer(pc, table)
    assert refused.value.code == ENODEV and pc.accesses == 0


def test_a_pm_timer_at_a_port_is_read_there_though_another_was_in_memory():
    pc = Pc()
    timer = PmTimer(pc, 32, 1000)
    pc.put_port(PM_TIMER, 4, timer)
    start_pm_timer(pc, fadt_table(register=w.gas(0, 32, 3, PM_MEMORY)))
    assert read("pm", pc) == 2**32 - 1
    start_pm_timer(pc, fadt_table())
    assert read("pm", pc) == 1000 + pc.ticks(PmTimer.HERTZ)


def test_a_pm_timer_in_memory_that_is_left_is_mapped_no_more():
    pc = Pc()
    pc.put(PM_MEMORY, 4, PmTimer(pc, 32))
    clock = start_pm_timer(pc, fadt_table(register=w.gas(0, 32, 3, PM_MEMORY)))
    assert pc.windows == 1
    pc.call(f"{DEVICES}leave_clock", clock)
    assert pc.windows == 0


@given(st.sampled_from([0x30, 0xFF, 0x02, 0x00]), st.integers(0, 3 * FEMTO))
@settings(max_examples=30)
def test_the_pit_counts_up_from_when_it_is_started(control, passed):
    """With its gate open, the speaker off, and the other bits of that port as they were."""
    pc = Pc()
    pit = Pit(pc, control)
    pc.call(f"{DEVICES}start_pit")
    assert pit.control == control & 0xFC | 1
    began = read("pit", pc)
    at = pc.now
    assert 0 <= began <= 16
    pc.pass_time(passed)
    assert read("pit", pc) - began - (pc.now - at) * Pit.HERTZ // FEMTO & 0xFFFF in (0, 1, 0xFFFF)


def test_the_pit_interrupts_once_in_a_round_of_its_counter():
    """Channel 0, in mode 2, from 65536, which is written as 0; the clock on channel 2 goes on."""
    pc = Pc()
    pit = Pit(pc)
    pc.call(f"{DEVICES}start_pit")
    pc.call("x86.pit.start_ticks")
    assert pit.ticks == [0x34, 0, 0]
    assert read("pit", pc) <= 16


# What is measured against them

CLOCKS = ["hpet", "slow hpet", "fast hpet", "pm 24", "pm 32", "pit"]
TICK = {  # in fs
    "hpet": 69_841_279,
    "slow hpet": 100_000_000,
    "fast hpet": 1_000_000,
    "pm 24": FEMTO // PmTimer.HERTZ,
    "pm 32": FEMTO // PmTimer.HERTZ,
    "pit": FEMTO // Pit.HERTZ,
}


def reference(pc: Pc, name: str, start: int, dead: bool = False) -> tuple[Any, int, int]:
    """The clock, the length of its tick in fs, and how many accesses a reading takes."""
    if name == "pit":
        Pit(pc, dead=dead)
        return pc.call(f"{DEVICES}start_pit"), TICK[name], 3
    if "hpet" in name:
        Hpet(pc, TICK[name], start, dead=dead)
        return start_hpet(pc), TICK[name], 1
    bits = int(name[-2:])
    pc.put_port(PM_TIMER, 4, PmTimer(pc, bits, start, frequency=0 if dead else PmTimer.HERTZ))
    return start_pm_timer(pc, fadt_table(bits)), TICK[name], 1


def speeds(pc: Pc, clock: Any) -> tuple[int, int]:
    found = pc.call(MEASURE, clock)
    return found.tsc, found.apic


@given(
    st.sampled_from(CLOCKS),
    st.sampled_from([10_000_000, 999_999_937, 2_400_000_000, 4_294_967_296, 4_700_000_000])
    | st.integers(10**7, 10**10),
    st.sampled_from([25_000_000, 100_000_000, 999_999_999]),
    st.integers(0, 12_000 * MICRO),
    st.integers(MICRO // 2, 40 * MICRO),
    st.just(0) | st.integers(0, 2000 * MICRO),
)
@example("pit", 10**9, 10**9, 0, 10 * MICRO, 2000 * MICRO)
@example("pm 24", 10**9, 10**9, 5000 * MICRO, 10 * MICRO, 500 * MICRO)
@example("fast hpet", 10**9, 10**9, 5000 * MICRO, 10 * MICRO, 0)
@settings(max_examples=60, deadline=None)
def test_speeds_are_as_near_as_the_readings_lie_together(name, tsc, apic, left, cost, stall):
    """Also when the clock, which has `left` to its end, begins anew meanwhile, and when this CPU is taken away now and
    then.

    A pair of readings of the TSC has `span` between it, when nothing comes between; the clock is known to one tick.
    """
    pc = Pc(tsc, apic, cost)
    pc.stall_every, pc.stall = 17, stall
    clock, tick, accesses = reference(pc, name, -left // TICK[name] % 2**64)
    found, found_apic = speeds(pc, clock)
    span, measured = (accesses + 2) * cost, FEMTO // 100
    assert abs(found - tsc) <= tsc * (span + tick) // measured + 2 * FEMTO // measured + 1
    assert abs(found_apic - apic) <= apic * (2 * span + tick) // measured + 2 * FEMTO // measured + 1
    assert pc.apic.initial == 0, "the local APIC's timer is off again"
    assert pc.now < FEMTO // 20


@pytest.mark.parametrize("name", CLOCKS)
def test_a_clock_that_stands_still_is_none(name):
    pc = Pc(cost=500 * MICRO)
    clock, _, _ = reference(pc, name, 5, dead=True)
    with pytest.raises(Raised) as refused:
        speeds(pc, clock)
    assert refused.value.code == EIO and pc.apic.initial == 0
    assert pc.now < 6 * FEMTO, "it has not been waited for long"


@pytest.mark.parametrize(
    ("tsc", "apic", "works"),
    [
        (10**6 + 10**5, 10**8, True), (9 * 10**5, 10**8, False),
        (16 * 10**9, 10**8, True), (18 * 10**9, 10**8, False),
        (10**9, 0, False), (10**9, 99, False), (10**9, 10**4, True),
    ],
)  # fmt: skip
def test_speeds_that_cannot_be_are_refused(tsc, apic, works):
    pc = Pc(tsc, apic)
    clock, _, _ = reference(pc, "hpet", 0)
    if works:
        assert speeds(pc, clock)
        return
    with pytest.raises(Raised) as refused:
        speeds(pc, clock)
    assert refused.value.code == EIO


@pytest.mark.parametrize(
    ("leaf", "found"),
    [
        ((2, 168, 38_400_000), (3_225_600_000, 38_400_000)),
        ((1, 300, 24_000_001), (7_200_000_300, 24_000_001)),
        ((3, 250, 25_000_000), (2_083_333_333, 25_000_000)),
        ((0, 168, 38_400_000), (0, 0)),
        ((2, 0, 38_400_000), (0, 0)),
        ((2, 168, 0), (0, 0)),
        ((2**32 - 1, 1, 38_400_000), (0, 0)),
        ((1, 2**32 - 1, 2**32 - 1), (0, 0)),
    ],
)
def test_a_crystal_that_the_cpu_names(leaf, found):
    """Intel SDM 2A, CPUID 15H; ratios that make no TSC are not believed."""
    pc = Pc()
    pc.answer((0, CRYSTAL, 0, 0, 0), (CRYSTAL, *leaf, 0))
    made = pc.call("x86.calibration.crystal_speeds")
    assert (made.tsc, made.apic) == found


# Which is chosen

MISSING, SOUND, DEAD, BROKEN = "missing", "sound", "dead", "broken"


class Boot:
    """A machine with the clocks that are asked for, as far as its time. Without a FADT it has a PM timer that nobody
    may know of."""

    def __init__(self, hpet=MISSING, pm=MISSING, pit=SOUND, option="", crystal=False, invariant=True, below=False):
        self.pc = pc = Pc(2 * 10**9, 10**8, 200 * MICRO)
        memory = w.PhysicalMap()
        tables = {}
        if hpet != MISSING:
            Hpet(pc, 0 if hpet == BROKEN else 10_000_000, dead=hpet == DEAD)
            tables[0x10_0000] = hpet_table()
        memory.put(w.XSDT_AT, w.xsdt(list(tables)))
        for place, table in tables.items():
            memory.put(place, table)
        pc.put_port(PM_TIMER, 4, PmTimer(pc, 32, frequency=0 if pm == DEAD else PmTimer.HERTZ))
        start_pm_timer(pc, fadt_table())
        if pit != MISSING:
            Pit(pc, dead=pit == DEAD)
        if crystal:
            pc.answer((0, CRYSTAL, 0, 0, 0), (CRYSTAL, 2, 160, 25_000_000, 0), *self._invariant(invariant))
        else:
            pc.answer(*self._invariant(invariant))
        host().cleared("hv.x86.cpuid.features").hypervisor = below
        assert pc.call("x86.time_source.clocksource", option) == (option != "")
        self.rsdp = w.rsdp(w.RSDT_AT, w.XSDT_AT, 2)
        self.fadt = b"" if pm == MISSING else fadt_table(length=0 if pm == BROKEN else 4)

    def _invariant(self, invariant: bool) -> list[tuple[int, int, int, int, int]]:
        return [(0x8000_0000, INVARIANT, 0, 0, 0), (INVARIANT, 0, 0, 0, invariant << 8)]

    def start(self) -> list[str]:
        """What it says."""
        pc = self.pc
        host().call("hv.sim.console.attach")
        host().printed()
        pc.call(f"{DEVICES}start_time", host().bytes(self.rsdp)[0], host().bytes(self.fadt)[0])
        return [line.split(") ", 1)[-1].strip() for line in host().printed().splitlines()]


STATES = [MISSING, SOUND, DEAD, BROKEN]


@pytest.mark.parametrize(
    ("hpet", "pm", "option"), [*itertools.product(STATES, STATES, ["tsc", "hpet", "acpi", "none"])]
)
def test_the_best_clock_that_works_is_chosen(hpet, pm, option):
    """HPET, PM timer, PIT; `clocksource=acpi` passes over the HPET. A TSC that keeps its speed is only measured."""
    boot = Boot(hpet, pm, option="" if option == "none" else option)
    lines = boot.start()
    best = "HPET" if hpet == SOUND and option != "acpi" else "PM timer" if pm == SOUND else "PIT"
    (measured,) = [line for line in lines if line.startswith("TSC ")]
    assert measured.endswith(f"by {best}"), lines
    clock = host().variable("hv.x86.timer.clock")
    assert abs(clock.frequency - 2 * 10**9) < 10**8
    if option in ("hpet", "acpi"):
        told = f"the clock is the {best}" if best != "PIT" else "the TSC may change its speed, and there is no better"
        assert [line for line in lines if told in line], lines
    else:
        assert lines == [measured]
    assert boot.pc.windows == (best == "HPET" and option == "hpet"), "what is not read any more is not mapped"


@pytest.mark.parametrize(
    ("crystal", "invariant", "below", "option", "is_clock", "by"),
    [
        (False, True, False, "", False, "HPET"),
        (False, False, False, "", True, "HPET"),
        (False, False, True, "", False, "HPET"),
        (False, False, False, "tsc", False, "HPET"),
        (True, True, False, "", False, "CPUID"),
        (True, False, False, "", True, "CPUID"),
        (True, True, False, "hpet", True, "CPUID"),
        (True, True, False, "tsc", False, "CPUID"),
    ],
)
def test_the_tsc_is_the_clock_when_it_keeps_its_speed(crystal, invariant, below, option, is_clock, by):
    """Or a hypervisor below sees to that, or the user says so. A crystal that CPUID names needs no measurement."""
    boot = Boot(SOUND, SOUND, option=option, crystal=crystal, invariant=invariant, below=below)
    lines = boot.start()
    assert lines[0].startswith("TSC 2000000 kHz" if crystal else "TSC ") and lines[0].endswith(f"by {by}")
    assert lines[1:] == (["the clock is the HPET"] if is_clock else [])
    assert bool(host().variable("hv.x86.timer.clock").reference.object) == is_clock
    if by == "CPUID" and not is_clock:
        assert not any(isinstance(device, Hpet) and device.settings for _, _, device in boot.pc.memory)


@pytest.mark.parametrize("pit", [MISSING, DEAD])
def test_a_machine_without_any_clock_says_so(pit):
    boot = Boot(DEAD, DEAD, pit)
    status, said = ending(boot.start)
    assert status != 0 and "there is no clock to measure the TSC with: EIO" in said


def test_an_unknown_clock_is_refused():
    assert not host().call("hv.x86.time_source.clocksource", "pit")
    assert host().call("hv.x86.time_source.clocksource", "tsc")


# The time that they give


def use(pc: Pc, name: str, start: int) -> tuple[Any, int, int]:
    clock, tick, _ = reference(pc, name, start)
    pc.call(f"{DEVICES}use_clock", clock)
    mask = 2**24 - 1 if name == "pm 24" else 2**32 - 1
    return clock, tick, mask


@given(
    st.sampled_from(CLOCKS[:-1]),
    st.integers(0, 2**33 - 1),
    st.lists(st.floats(0, 1), min_size=1, max_size=40),
)
@example("pm 24", 2**24 - 1, [1.0] * 100)
@example("hpet", 2**32 - 1, [1.0] * 100)
@settings(max_examples=50, deadline=None)
def test_time_goes_on_when_a_clock_begins_anew(name, start, steps):
    """As long as it is read in each half of a round. What is lost is the fraction's: a part in 2**32 of a tick's ns."""
    pc = Pc(cost=1000)
    _, tick, mask = use(pc, name, start)
    half = (mask >> 1) * tick - 10**6
    began, first = pc.now, pc.call("x86.timer.now")
    last = first
    for step in steps:
        pc.pass_time(int(step * half))
        found = pc.call("x86.timer.now")
        passed = (pc.now - began) // 10**6
        lost = passed // 2**20 + passed * tick // FEMTO + 2 * (tick // 10**6 + 2)
        assert last <= found and passed - lost <= found - first <= passed + lost
        last = found


def test_a_cpu_that_has_read_the_clock_before_another_does_not_turn_time_back():
    """Its reading lies behind what has been carried on: it counts as no time."""
    pc = Pc(cost=1000)
    _, tick, _ = use(pc, "hpet", 2**32 - 100)
    for _ in range(50):
        pc.pass_time(10 * tick)
        later = pc.call("x86.timer.now")
        pc.pass_time(-7 * tick)
        assert pc.call("x86.timer.now") == later
        pc.pass_time(7 * tick)


def test_a_cpu_that_is_overtaken_while_it_reads_tries_again():
    pc = Pc(cost=1000)
    _, tick, _ = use(pc, "hpet", 2**32 - 100)
    (hpet,) = [device for _, _, device in pc.memory if isinstance(device, Hpet)]
    others: list[int] = []
    plain = Hpet.read

    def overtaken(offset: int) -> int:
        value = plain(hpet, offset)
        if not others:
            others.append(0)
            pc.pass_time(5 * tick)
            others[0] = host().call("hv.x86.timer.now")  # by another CPU, between this one's reading and its use
        return value

    hpet.read = overtaken  # type: ignore[method-assign]
    for _ in range(40):
        others.clear()
        pc.pass_time(10 * tick)
        found = pc.call("x86.timer.now")
        assert others[0] > 0 and found >= others[0]
        assert pc.call("x86.timer.now") - found < 100


@given(
    st.sampled_from(["deadline", "apic", "hpet"]),
    st.integers(10**8, 5 * 10**9),
    st.sampled_from([10**6, 25_000_000, 10**9, 4 * 10**9]),
    st.integers(0, 2000 * SECOND),
)
@example("deadline", 10**9, 10**9, 0)
@example("hpet", 10**8, 25_000_000, 7_135_174_577)
@settings(max_examples=80, deadline=None)
def test_an_alarm_rings_when_it_is_due(kind, tsc, apic, ahead):
    """It may ring a little early: then it is set again, and again only a few times. 2**32 ticks of the local APIC's
    timer are all that it can count. A reference clock's frequency is known to a hertz."""
    pc = Pc(tsc, apic, MICRO // 10)
    if kind == "hpet":
        clock, _, _ = reference(pc, "hpet", 0)
        pc.call("x86.timer.start_clock", tsc, apic, True)
        pc.call("x86.timer.use_reference", clock)
    else:
        pc.call("x86.timer.start_clock", tsc, apic, kind == "deadline")
    pc.pass_time(FEMTO // 7)
    deadline = pc.call("x86.timer.now") + ahead
    pc.call("x86.timer.set_alarm", deadline)
    for _ in range(8 + ahead * apic // SECOND // (2**32 - 1) + ahead // 2**40):
        due = pc.apic.rings_at
        assert due is not None
        while kind == "hpet" and due - pc.now > FEMTO:  # the clock is carried on, as a timer sees to
            pc.pass_time(FEMTO - MICRO)
            pc.call("x86.timer.now")
        pc.pass_time(max(0, due - pc.now))
        if pc.call("x86.timer.alarm_is_due"):
            break
    else:
        raise AssertionError("it rings and rings")
    assert bool(pc.apic.deadline) == (kind == "deadline"), "the TSC gives no alarms where it is no clock"
    late = pc.call("x86.timer.now") - deadline
    unknown = min(ahead, (2**32 - 1) * SECOND // apic) // 14_000_000 if kind == "hpet" else 0
    assert 0 <= late <= 2 * SECOND // apic + 2 * 70 + 5 * 100 + unknown, late


def test_no_alarm_is_none():
    for deadline_mode in (False, True):
        pc = Pc()
        pc.call("x86.timer.start_clock", 10**9, 10**9, deadline_mode)
        pc.call("x86.timer.set_alarm", SECOND)
        assert pc.apic.rings_at is not None
        pc.call("x86.timer.set_alarm", 2**64 - 1)
        assert pc.apic.rings_at is None


def test_before_the_clock_is_started_it_is_0():
    pc = Pc()
    pc.pass_time(FEMTO)
    assert pc.call("x86.timer.now") == 0


@given(st.integers(10**6, 2**34), st.integers(0, 2**63 - 1))
def test_ticks_become_ns(frequency, ticks):
    """What is lost is the fraction's rest: a part of 2**32 of a nanosecond for each tick."""
    pc = Pc()
    pc.call("x86.timer.start_clock", frequency, 10**9, False)
    ticks %= 2**32 * frequency
    found, exact = pc.call("x86.timer.to_ns", ticks), ticks * SECOND // frequency
    assert exact - (ticks >> 32) - 1 <= found <= exact
