"""The scheduler against a model: CPUs in any order do what is due, guests block, yield and go off, others wake, pause
and start them.

After each step: who runs where, who waits where. When everything is settled: nothing is lost, no CPU idles while it
could work, everybody who can run gets its turn, and the time that is accounted adds up.
"""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from compiler.hostbuild import Raised
from tests.common.cpus import at_once, in_turns
from tests.common.guests import CPUS, RUNNING, SCHED, VCPUS, Machine
from tests.common.host import ending

SLICE = 10_000_000
EBUSY = 16
ENTERED = 67  # how the simulated machine ends when a guest is entered
ALL = (1 << CPUS) - 1


class Vcpu:
    """What a test knows of a vCPU."""

    def __init__(self, real, cpus, since):
        self.real = real
        self.cpus = cpus
        self.since = since
        self.blocked = False
        self.down = True
        self.begins = False  # when it is off
        self.pauses = 0

    @property
    def runnable(self):
        return not self.blocked and not self.down and self.pauses == 0


class Scheduling(RuleBasedStateMachine):
    @initialize(
        cpus=st.sampled_from([1, 1, 2, 2, 3, 4, CPUS]),
        spared=st.sampled_from([0, 0, 0b1, 0b110]),
        domains=st.lists(st.lists(st.integers(0, ALL), min_size=1, max_size=5), min_size=1, max_size=4),
    )
    def power_on(self, cpus, spared, domains):
        online = (1 << cpus) - 1
        self.spared = spared if online & ~spared else 0
        self.machine = Machine(cpus).with_heap().start_scheduling(self.spared)
        self.now = 0
        self.time_passes(12345)
        self.vcpus = []
        running = online & ~self.spared
        for number, affinities in enumerate(domains):
            domain = self.machine.call(f"{VCPUS}make_domain", number + 1, len(affinities))
            for affinity in affinities:
                allowed = affinity & running
                real = self.machine.call(f"{VCPUS}make_vcpu", domain, allowed)
                self.vcpus.append(Vcpu(real, allowed or running, self.now))

    def on(self, data):
        """Goes on as one of the CPUs."""
        cpu = data.draw(st.integers(0, self.machine.cpus - 1), label="cpu")
        self.machine.enter(cpu)
        return cpu

    def any_vcpu(self, data):
        return self.vcpus[data.draw(st.integers(0, len(self.vcpus) - 1), label="vcpu")]

    def current(self, cpu):
        real = self.machine.processor(cpu).current
        return next((v for v in self.vcpus if v.real == real), None)

    # What CPUs and guests do

    def settle(self, cpu):
        """What goes off there, and is to begin again when it is off, begins."""
        before = self.current(cpu)
        self.machine.settle(cpu)
        if before is not None and before.begins:
            assert self.machine.call(f"{VCPUS}entry_of", before.real) == 0x8000
            before.down = before.begins = before.blocked = False

    def settle_all(self, rounds):
        for _ in range(rounds):
            for cpu in range(self.machine.cpus):
                self.settle(cpu)

    @rule(data=st.data())
    def do_what_is_due(self, data):
        self.settle(self.on(data))

    @rule(ns=st.integers(1, 3 * SLICE))
    def time_passes(self, ns):
        self.machine.advance(ns)
        self.now += ns

    @rule(data=st.data())
    def start(self, data):
        self.start_one(self.any_vcpu(data), self.on(data))

    @rule(data=st.data())
    def start_all(self, data):
        for vcpu in self.vcpus:
            self.start_one(vcpu, self.on(data))

    def start_one(self, vcpu, cpu):
        self.machine.enter(cpu)
        running = vcpu.real.running
        try:
            self.machine.core("vcpu_up", vcpu.real, 0x4000, 7)
        except Raised as raised:
            assert raised.code == EBUSY and (not vcpu.down or running)
            return
        assert vcpu.down and not running
        assert self.machine.call(f"{VCPUS}entry_of", vcpu.real) == 0x4000
        vcpu.down = False
        vcpu.blocked = False

    @rule(data=st.data())
    def start_once_off(self, data):
        vcpu = self.any_vcpu(data)
        self.on(data)
        running = vcpu.real.running
        try:
            self.machine.core("vcpu_up_once_off", vcpu.real, 0x8000, 7)
        except Raised as raised:
            assert raised.code == EBUSY and (not vcpu.down or vcpu.begins)
            return
        assert vcpu.down and not vcpu.begins
        if running:
            vcpu.begins = True
        else:
            assert self.machine.call(f"{VCPUS}entry_of", vcpu.real) == 0x8000
            vcpu.down = vcpu.blocked = False

    @rule(data=st.data())
    def guest_is_switched_off(self, data):
        """By another: what it was to begin with is forgotten."""
        vcpu = self.any_vcpu(data)
        self.on(data)
        self.machine.core("vcpu_down", vcpu.real)
        vcpu.down, vcpu.begins = True, False

    @rule(data=st.data())
    def guest_waits(self, data):
        """The vCPU of a CPU waits for an interrupt: it goes on at once when it has one."""
        vcpu = self.current(self.on(data))
        if vcpu is None:
            return
        has = data.draw(st.booleans(), label="has an interrupt")
        self.machine.call(f"{VCPUS}{'interrupt' if has else 'take_interrupt'}", vcpu.real)
        self.machine.core("block")
        vcpu.blocked = not has

    @rule(data=st.data())
    def guest_yields(self, data):
        if self.current(self.on(data)) is not None:
            self.machine.core("yield_")

    @rule(data=st.data())
    def guest_goes_off(self, data):
        vcpu = self.current(self.on(data))
        if vcpu is not None:
            self.machine.core("vcpu_down", vcpu.real)
            vcpu.down, vcpu.begins = True, False

    @rule(data=st.data())
    def interrupt_comes(self, data):
        vcpu = self.any_vcpu(data)
        cpu = self.on(data)
        kicks = self.kicks()
        self.machine.call(f"{VCPUS}interrupt", vcpu.real)
        if vcpu.real.running and vcpu.real.at != cpu and not vcpu.blocked:
            assert self.kicks() > kicks, "a guest on another CPU did not hear of its interrupt"
        vcpu.blocked = False

    def kicks(self):
        return sum(self.machine.host.per_cpu(c, "hv.sim.machine.SimulatedCpu").kicks for c in range(CPUS))

    @rule(data=st.data())
    def pause(self, data):
        vcpu = self.any_vcpu(data)
        self.on(data)
        self.machine.core("pause", vcpu.real)
        vcpu.pauses += 1

    @rule(data=st.data())
    def unpause(self, data):
        vcpu = self.any_vcpu(data)
        self.on(data)
        if vcpu.pauses:
            self.machine.core("unpause", vcpu.real)
            vcpu.pauses -= 1

    # What has to hold

    @invariant()
    def everything_is_in_its_place(self):
        if not hasattr(self, "machine"):
            return
        waiting = {}
        for cpu in range(self.machine.cpus):
            for real in self.machine.queue(cpu):
                assert real not in waiting
                waiting[real] = cpu
        for vcpu in self.vcpus:
            real = vcpu.real
            assert (real.blocked, real.down, real.pauses) == (vcpu.blocked, vcpu.down, vcpu.pauses)
            assert real.begins == vcpu.begins <= real.running
            where = self.machine.call(f"{VCPUS}loaded_on", real)
            assert bool(real.running) == (where != 0)
            if real.running:
                assert where == real.at + 1 and self.machine.processor(real.at).current == real
                assert vcpu.cpus >> real.at & 1 and real not in waiting and real.runstate == RUNNING
            if real in waiting:
                assert vcpu.runnable and waiting[real] == real.at and vcpu.cpus >> real.at & 1
            elif vcpu.runnable:
                assert real.running, "a vCPU that can run is forgotten"

    @rule()
    def settled(self):
        """When every CPU has done what is due, the right ones run and nobody idles in vain."""
        self.settle_all(rounds=3)
        idle = [c for c in range(self.machine.cpus) if not (self.machine.processor(c).current or self.spared >> c & 1)]
        for vcpu in self.vcpus:
            assert bool(vcpu.real.running) <= vcpu.runnable
            if vcpu.runnable and not vcpu.real.running:
                assert not any(vcpu.cpus >> c & 1 for c in idle), "a CPU idles that could run it"
        for cpu in range(self.machine.cpus):
            assert self.machine.processor(cpu).idle == (cpu in idle)
        self.everything_is_in_its_place()

    @rule()
    def everybody_gets_a_turn(self):
        """One may be up to two slices behind each of the others, and each may be in the middle of a turn."""
        self.settled()
        before = {v: self.time(v, RUNNING) for v in self.vcpus}
        for _ in range(3 * len(self.vcpus) + 1):
            self.time_passes(SLICE)
            self.settle_all(rounds=2)
        for vcpu in self.vcpus:
            gained = self.time(vcpu, RUNNING) - before[vcpu]
            assert (gained >= SLICE) if vcpu.runnable else (gained == 0)

    def teardown(self):
        if hasattr(self, "machine"):
            self.everybody_gets_a_turn()

    def time(self, vcpu, runstate):
        return self.machine.call("hv.common.model.vcpu.Vcpu.time_in", vcpu.real, runstate, self.now)

    @invariant()
    def all_time_is_accounted(self):
        if hasattr(self, "machine"):
            for vcpu in self.vcpus:
                assert sum(self.time(vcpu, state) for state in range(4)) == self.now - vcpu.since

    @precondition(lambda self: hasattr(self, "machine"))
    @rule()
    def a_guest_alone_is_not_interrupted(self):
        """A CPU on which nothing waits is not made to schedule again by a slice's end."""
        self.settled()
        for cpu in range(self.machine.cpus):
            if not self.machine.queue(cpu) and self.machine.processor(cpu).current:
                until = self.machine.processor(cpu).slice.place
                assert not until.queued or until.key <= self.now + SLICE


TestScheduling = Scheduling.TestCase
TestScheduling.settings = settings(max_examples=150, stateful_step_count=60)


class Shared:
    """One CPU with a vCPU of each of some domains, and the time that each has had since."""

    def __init__(self, count):
        self.machine = Machine(1).with_heap().start_scheduling()
        domains = [self.machine.call(f"{VCPUS}make_domain", number + 1, 1) for number in range(count)]
        self.vcpus = [self.machine.call(f"{VCPUS}make_vcpu", domain, 1) for domain in domains]
        self.had = [0] * count
        self.now = 0

    def start(self, number):
        self.machine.core("vcpu_up", self.vcpus[number], 0, 0)

    def settle(self):
        """Who runs now; None: nobody."""
        runs = self.machine.settle(0)
        return self.vcpus.index(runs) if runs else None

    def passes(self, ns):
        running = self.settle()
        if running is not None:
            self.had[running] += ns
        self.now += ns
        self.machine.advance(ns)

    def sleeps(self, number):
        assert self.settle() == number
        self.machine.call(f"{VCPUS}take_interrupt", self.vcpus[number])
        self.machine.core("block")
        self.settle()

    def wakes(self, number):
        self.machine.call(f"{VCPUS}interrupt", self.vcpus[number])
        return self.settle()


def test_turns_are_of_ten_milliseconds():
    """Once each has run since it woke, they take turns in the same order."""
    shared = Shared(3)
    for number in range(3):
        shared.start(number)
    while 0 in shared.had:
        shared.passes(1_000_000)
    order = [shared.settle()]
    for _ in range(119):
        shared.passes(1_000_000)
        order.append(shared.settle())
    turns = [(who, len(list(same))) for who, same in itertools.groupby(order)][3:-1]
    assert len(turns) >= 8 and {length for _, length in turns} == {10}
    assert all(turns[n][0] == turns[n % 3][0] for n in range(len(turns)))


def test_who_yields_goes_behind_the_others():
    machine = Machine(1).with_heap().start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 2)
    vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, 0) for _ in range(2)]
    for vcpu in vcpus:
        machine.core("vcpu_up", vcpu, 0, 0)
    for turn in range(6):
        assert machine.settle(0) == vcpus[turn % 2]
        machine.core("yield_")


def test_who_wakes_with_less_runs_at_once():
    """And again and again, as long as it has had less: what it waits for is not another's turn."""
    shared = Shared(2)
    shared.start(0)
    shared.passes(1_000_000_000)
    shared.start(1)
    for _ in range(500):
        assert shared.settle() == 1
        shared.passes(3_000)
        shared.sleeps(1)
        shared.passes(497_000)
        assert shared.wakes(1) == 1


def test_a_light_guest_hardly_waits_for_one_whose_bursts_are_of_any_length():
    """Its neighbour sleeps and runs as a Linux that boots does; the CPU idles now and then, so that both are even."""
    shared = Shared(2)
    for number in range(2):
        shared.start(number)
    pauses = itertools.cycle([20_000, 300_000, 2_000_000])
    bursts = itertools.cycle([10_000, 30_000_000, 300_000, 8_000_000, 1_300_000])
    burst, wakes_at, due = next(bursts), None, None
    late, latest = 0, 0
    for _ in range(60_000):
        running = shared.settle()
        if running == 1:
            shared.passes(3_000)
            if shared.settle() == 1:
                shared.sleeps(1)
                due = shared.now + 500_000
        else:
            shared.passes(5_000)
            late = late + 5_000 if due is None else 0
            latest = max(latest, late)
            burst -= 5_000 * (running == 0)
            if burst <= 0 and wakes_at is None and shared.settle() == 0:
                shared.sleeps(0)
                wakes_at = shared.now + next(pauses)
        if due is not None and shared.now >= due:
            shared.wakes(1)
            due = None
        if wakes_at is not None and shared.now >= wakes_at:
            burst, wakes_at = next(bursts), None
            shared.wakes(0)
    assert latest <= 100_000 + 5_000


def test_who_sleeps_now_and_then_gets_no_more_than_its_share():
    """Also when it sleeps just before each turn ends."""
    shared = Shared(2)
    shared.start(0)
    shared.start(1)
    for _ in range(1000):
        while shared.settle() != 1:
            shared.passes(100_000)
        shared.passes(SLICE - 1_000)
        if shared.settle() == 1:
            shared.sleeps(1)
            shared.passes(1_000)
            shared.wakes(1)
    assert abs(shared.had[0] - shared.had[1]) <= 3 * SLICE


def test_a_long_sleep_does_not_count():
    shared = Shared(2)
    for number in range(2):
        shared.start(number)
    while shared.settle() != 0:
        shared.passes(100_000)
    shared.sleeps(0)
    shared.passes(10_000_000_000)
    assert shared.wakes(0) == 0
    shared.had = [0, 0]
    for _ in range(100):
        shared.passes(1_000_000)
    assert abs(shared.had[0] - shared.had[1]) <= 2 * SLICE


def test_a_turn_that_was_cut_short_goes_on():
    """Two that always run and one that wakes 2,000 times a second: the two take turns no more often for that."""
    shared = Shared(3)
    for number in range(3):
        shared.start(number)
    while shared.settle() != 2:
        shared.passes(1_000_000)
    order = []
    for _ in range(400):
        shared.passes(3_000)
        shared.sleeps(2)
        order.append(shared.settle())
        shared.passes(497_000)
        assert shared.wakes(2) == 2
    changes = sum(a != b for a, b in itertools.pairwise(order))
    assert changes <= 200 // 10 + 1 and abs(shared.had[0] - shared.had[1]) <= 2 * SLICE


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 2 * SLICE), st.sampled_from(["sleep", "wake", "yield", "run"])), max_size=80
    ),
    others=st.integers(2, 4),
)
def test_who_always_wants_to_run_gets_an_equal_share(steps, others):
    """Whatever another does: over any time, two that only run differ by two slices at most, and none has less than its
    part of it but for the slices of those that came before.
    """
    shared = Shared(others + 1)
    for number in range(others + 1):
        shared.start(number)
    asleep = False
    passed = 0
    for ns, what in steps:
        if what == "wake" and asleep:
            shared.wakes(others)
            asleep = False
        elif shared.settle() == others and what == "sleep":
            shared.sleeps(others)
            asleep = True
        elif shared.settle() == others and what == "yield":
            shared.machine.core("yield_")
        while ns:
            part = min(ns, 1_000_000)
            shared.passes(part)
            passed += part
            ns -= part
        hogs = shared.had[:others]
        assert max(hogs) - min(hogs) <= 2 * SLICE
        assert min(hogs) >= passed // (others + 1) - 3 * SLICE


@pytest.mark.parametrize("to", [0, 1])
def test_a_vcpu_that_comes_from_another_cpu_gets_an_equal_share(to):
    """Also where the others have had far more, or far less, than anybody where it was."""
    machine = Machine(2).with_heap().start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 3)
    hogs = [machine.call(f"{VCPUS}make_vcpu", domain, 1 << cpu) for cpu in range(2)]
    moved = machine.call(f"{VCPUS}make_vcpu", domain, 0b10 >> to)
    machine.core("vcpu_up", hogs[1], 0, 0)
    machine.core("vcpu_up", moved, 0, 0)
    ran = run_for(machine, 300, {hogs[1], moved})
    assert ran[moved] >= 149
    machine.core("vcpu_up", hogs[0], 0, 0)
    run_for(machine, 3, {hogs[0]})
    machine.core("pause", moved)
    machine.settle_all()
    moved.hard_affinity.words[0] = 1 << to
    machine.core("unpause", moved)
    machine.settle_all()
    ran = run_for(machine, 20, {hogs[to], moved})
    assert moved.at == to and min(ran.values()) >= 8


def run_for(machine, slices, vcpus):
    """In how many of so many slices each of these was the one that ran."""
    ran = dict.fromkeys(vcpus, 0)
    for _ in range(slices):
        machine.settle_all()
        for vcpu in vcpus:
            ran[vcpu] += bool(vcpu.running)
        machine.advance(SLICE)
    return ran


def test_a_vcpu_that_is_not_off_yet_is_not_started():
    machine = Machine(2).with_heap().start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 1)
    vcpu = machine.call(f"{VCPUS}make_vcpu", domain, 0b10)
    machine.core("vcpu_up", vcpu, 0, 0)
    machine.settle_all()
    machine.core("vcpu_down", vcpu)
    assert vcpu.down and not machine.core("is_off", vcpu)
    machine.enter(0)
    assert machine.host.errno(f"{SCHED}vcpu_up", vcpu, 0, 0) == EBUSY
    machine.settle_all()
    assert machine.core("is_off", vcpu)
    machine.core("vcpu_up", vcpu, 0, 0)
    machine.settle_all()
    assert vcpu.running


def test_a_vcpu_that_is_not_off_yet_begins_when_it_is():
    """The last that was asked for holds; meanwhile it counts as one that is on."""
    machine = Machine(2).with_heap().start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 1)
    vcpu = machine.call(f"{VCPUS}make_vcpu", domain, 0b10)
    machine.core("vcpu_up", vcpu, 0, 0)
    machine.settle_all()
    for entry in (0x1000, 0x2000):
        machine.enter(0)
        machine.core("vcpu_down", vcpu)
        assert machine.core("all_down", domain)
        machine.core("vcpu_up_once_off", vcpu, entry, 5)
        assert vcpu.running and not machine.core("all_down", domain) and not machine.core("is_off", vcpu)
        assert machine.host.errno(f"{SCHED}vcpu_up_once_off", vcpu, 0x3000, 0) == EBUSY
    machine.settle_all()
    assert vcpu.running and not vcpu.down
    assert machine.call(f"{VCPUS}entry_of", vcpu) == 0x2000 and machine.call(f"{VCPUS}argument_of", vcpu) == 5
    machine.enter(0)
    machine.core("vcpu_down", vcpu)
    machine.core("vcpu_up_once_off", vcpu, 0x4000, 0)
    machine.core("vcpu_down", vcpu)
    machine.settle_all()
    assert machine.core("is_off", vcpu) and machine.core("all_down", domain)


def test_a_slice_that_ends_offers_what_waits_to_an_idle_cpu():
    """It came into the queue in the moment in which the other CPU looked there and found nothing."""
    machine = Machine(2).with_heap().start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 2)
    vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, 0b01) for _ in range(2)]
    for vcpu in vcpus:
        machine.core("vcpu_up", vcpu, 0, 0)
    machine.settle_all()
    for vcpu in vcpus:
        vcpu.hard_affinity.words[0] = 0b11
    machine.settle_all()
    assert sum(vcpu.running for vcpu in vcpus) == 1
    machine.advance(SLICE)
    machine.settle_all()
    assert all(vcpu.running for vcpu in vcpus)


def test_an_idle_cpu_waits_and_enters_what_wakes():
    """Interrupts come while the CPU waits: the third makes its vCPU runnable, which is entered then."""
    machine = Machine(1).with_heap().start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 1)
    vcpu = machine.call(f"{VCPUS}make_vcpu", domain, 0)
    waits = []

    @machine.ffi.callback(machine.ffi.typeof(machine.machine.spin_handler))
    def something_happens(cpu):
        waits.append(cpu)
        if len(waits) == 3:
            machine.core("vcpu_up", vcpu, 0, 0)

    machine.machine.spin_handler = something_happens
    assert machine.core("leave") == vcpu and vcpu.running and waits == [0, 0, 0]
    machine.core("vcpu_down", vcpu)
    assert not machine.core("settle")
    waits.clear()
    assert ending(lambda: machine.core("idle"))[0] == ENTERED


def test_the_command_line_chooses_the_scheduler():
    machine = Machine(1)
    scheduling = machine.host.variable(f"{SCHED}scheduling")
    machine.call("kernel.cmdline.read_command_line", "sched=credit9 sched=fair")
    assert machine.lines() == ['(hv) option "sched=credit9" has a value that it cannot take']
    assert scheduling.chosen
    machine.core("start_scheduler")


def test_keys_show_who_runs_and_waits():
    machine = Machine(2).with_heap().start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 3)
    vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, 0b01) for _ in range(3)]
    for vcpu in vcpus[:2]:
        machine.core("vcpu_up", vcpu, 0, 0)
        machine.settle_all()
    machine.advance(200_000)
    assert machine.press("r") == [
        "(hv) CPU 0: d1 test vCPU 0",
        "(hv)   waiting: d1 test vCPU 1",
        "(hv) CPU 1: idle",
    ]
    assert [re.sub("ran 2.. us", "ran 2xx us", line) for line in machine.press("q")] == [
        "(hv) d1 test: BUILDING, 0 MiB and 4 frames of tables, 1 refs",
        "(hv)   vCPU 0: RUNNING on CPU 0 of 0, ran 2xx us, 0 pauses",
        "(hv)   vCPU 1: RUNNABLE on CPU 0 of 0, ran 0 us, 0 pauses",
        "(hv)   vCPU 2: down on CPU 0 of 0, ran 0 us, 0 pauses",
    ]


def test_a_vcpu_returns_to_the_cpu_that_it_was_on_and_spreads_when_that_is_busy():
    machine = Machine(4).with_heap().start_scheduling()
    machine.settle_all()
    domain = machine.call(f"{VCPUS}make_domain", 1, 4)
    vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, 0) for _ in range(4)]
    machine.enter(0)
    for vcpu in vcpus:
        machine.core("vcpu_up", vcpu, 0, 0)
    machine.settle_all()
    assert sorted(vcpu.at for vcpu in vcpus) == [0, 1, 2, 3]
    before = vcpus[2].at
    machine.enter(before)
    machine.core("block")
    machine.settle_all()
    machine.enter(0)
    machine.call(f"{VCPUS}interrupt", vcpus[2])
    machine.settle_all()
    assert vcpus[2].running and vcpus[2].at == before


def crowd():
    """Four CPUs that schedule, and seven vCPUs of which some may not run everywhere."""
    machine = Machine(4).with_heap().start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 7)
    vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, cpus) for cpus in (0, 0, 0b11, 0b1100, 0b0110, 0b1, 0)]
    machine.enter(0)
    for vcpu in vcpus:
        machine.core("vcpu_up", vcpu, 0, 0)
    return machine, domain, vcpus


def churning(machine, domain, seed, rounds):
    """What each CPU does: all of it at the same time as the others, so that a vCPU that is lost or runs twice shows."""
    return [
        lambda number=number: machine.call(f"{VCPUS}churn", domain, seed + number * 7919 & 0xFFFF_FFFF, rounds)
        for number in range(4)
    ]


def all_get_their_turn(machine, vcpus):
    for vcpu in vcpus:
        machine.call(f"{VCPUS}interrupt", vcpu)
    seen = set()
    for _ in range(10):
        machine.settle_all(rounds=3)
        seen |= {machine.processor(c).current for c in range(4)}
        machine.advance(SLICE)
    assert seen == set(vcpus)
    assert sum(len(machine.queue(c)) for c in range(4)) == 3


@given(seed=st.integers(0, 2**32 - 1))
def test_cpus_at_once(seed):
    """In turns: nobody is lost, and nobody runs twice: the simulated registers would say so."""
    machine, domain, vcpus = crowd()
    in_turns(seed, *churning(machine, domain, seed, 30))
    all_get_their_turn(machine, vcpus)


def test_cpus_really_at_once():
    """As threads that the host runs as it likes."""
    machine, domain, vcpus = crowd()
    at_once(*churning(machine, domain, 1, 500))
    all_get_their_turn(machine, vcpus)


@pytest.mark.parametrize("first", [0, 1])
def test_who_switches_itself_off_last_finds_all_down(first):
    """Also while the other has not quite left its CPU: else neither would end the domain."""
    machine = Machine(2).with_heap().start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 2)
    vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, 1 << cpu) for cpu in range(2)]
    for cpu, vcpu in enumerate(vcpus):
        machine.core("vcpu_up", vcpu, 0, 0)
        assert machine.settle(cpu) == vcpu
    assert not machine.core("all_down", domain)
    machine.enter(first)
    machine.core("vcpu_down", vcpus[first])
    assert not machine.core("all_down", domain)
    machine.enter(1 - first)
    machine.core("vcpu_down", vcpus[1 - first])
    assert vcpus[first].running and machine.core("all_down", domain)
