"""Timers against a model of them, on several CPUs: each expires once, at its time, where it was set."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.common.host import KERNEL, MACHINE, SAMPLES, host

CPUS = 3
TIMERS = 8
LATEST = 2**63 - 1
NEVER = 2**64 - 1
TIMER = f"{KERNEL}timer.Timer."


class Timers:
    def __init__(self):
        for name in (f"{KERNEL}timer.Timers", f"{KERNEL}softirq.Pending", f"{MACHINE}SimulatedCpu"):
            host().cleared_per_cpu(name)
        machine = host().cleared(f"{MACHINE}machine")
        machine.alarm_handler = host().function("hv.sim.interrupts.rang")
        machine.kick_handler = host().function("hv.sim.interrupts.kicked")
        self.timers = host().cleared(f"{SAMPLES}timers")
        for number in range(TIMERS):
            host().call(f"{SAMPLES}init_timer", number)
        host().enter(0)

    def timer(self, number):
        return host().ffi.addressof(self.timers[number], "timer")

    def call(self, function, number, *arguments):
        return host().call(TIMER + function, self.timer(number), *arguments)

    def armed(self, number):
        return bool(self.call("armed", number))

    def now(self):
        return host().call(f"{MACHINE}time")

    def advance(self, time):
        """Lets time pass, and every CPU take what is pending; nothing else wakes one."""
        host().call(f"{MACHINE}advance", time)
        self.deliver()

    def deliver(self):
        for cpu in range(CPUS):
            host().enter(cpu)
            host().call(f"{MACHINE}poll")
            host().call(f"{KERNEL}softirq.run_softirqs")
        host().enter(0)

    def alarm(self, cpu):
        """What the CPU's hardware is set to."""
        simulated = host().per_cpu(cpu, f"{MACHINE}SimulatedCpu")
        return simulated.alarm if simulated.alarm_set else NEVER


DELAYS = st.integers(0, 50) | st.integers(0, 2**32) | st.sampled_from([LATEST, NEVER])


class AgainstModel(RuleBasedStateMachine):
    @initialize()
    def power_on(self):
        self.sim = Timers()
        self.model = {}  # deadline and CPU of each timer that is set
        self.counts = [0] * TIMERS

    @rule(number=st.integers(0, TIMERS - 1), caller=st.integers(0, CPUS - 1), delay=DELAYS)
    def set(self, number, caller, delay):
        deadline = min(self.sim.now() + delay, NEVER)
        host().enter(caller)
        self.sim.call("set", number, deadline)
        self.model[number] = (min(deadline, LATEST), caller)

    @rule(
        number=st.integers(0, TIMERS - 1), caller=st.integers(0, CPUS - 1), cpu=st.integers(0, CPUS - 1), delay=DELAYS
    )
    def set_on(self, number, caller, cpu, delay):
        deadline = min(self.sim.now() + delay, NEVER)
        host().enter(caller)
        self.sim.call("set_on", number, cpu, deadline)
        self.model[number] = (min(deadline, LATEST), cpu)

    @rule(
        number=st.integers(0, TIMERS - 1), caller=st.integers(0, CPUS - 1), function=st.sampled_from(["cancel", "kill"])
    )
    def cancel(self, number, caller, function):
        host().enter(caller)
        self.sim.call(function, number)
        self.model.pop(number, None)

    @rule(number=st.integers(0, TIMERS - 1), caller=st.integers(0, CPUS - 1), cpu=st.integers(0, CPUS - 1))
    def move(self, number, caller, cpu):
        host().enter(caller)
        self.sim.call("move_to", number, cpu)
        if number in self.model:
            self.model[number] = (self.model[number][0], cpu)

    @rule(time=st.integers(0, 60) | st.integers(0, 2**33))
    def advance(self, time):
        self.sim.advance(time)
        now = self.sim.now()
        for number, (deadline, _) in list(self.model.items()):
            if deadline <= now:
                del self.model[number]
                self.counts[number] += 1
                assert self.sim.timers[number].told == now

    @invariant()
    def agree(self):
        if not hasattr(self, "sim"):
            return
        assert [self.sim.timers[n].count for n in range(TIMERS)] == self.counts
        assert [self.sim.armed(n) for n in range(TIMERS)] == [n in self.model for n in range(TIMERS)]
        for number, (deadline, cpu) in self.model.items():
            assert self.sim.call("deadline", number) == deadline
            assert self.sim.timers[number].timer.cpu == cpu


TestTimers = AgainstModel.TestCase


@pytest.fixture
def sim():
    return Timers()


def test_the_alarm_changes_with_the_earliest_deadline_alone(sim):
    sim.call("set", 0, 100)
    assert sim.alarm(0) == 100
    sim.call("set", 1, 200)
    assert sim.alarm(0) == 100
    sim.call("set", 2, 50)
    assert sim.alarm(0) == 50
    sim.call("cancel", 2)
    assert sim.alarm(0) == 50
    sim.advance(50)
    assert (sim.alarm(0), sim.timers[2].count) == (100, 0)
    sim.advance(50)
    assert (sim.alarm(0), sim.timers[0].count) == (200, 1)
    sim.advance(100)
    assert (sim.alarm(0), sim.timers[1].count) == (NEVER, 1)


def test_another_cpu_is_interrupted_only_when_its_earliest_deadline_changes(sim):
    def kicks():
        return host().per_cpu(1, f"{MACHINE}SimulatedCpu").kicks

    sim.call("set_on", 0, 1, 100)
    assert kicks() == 1
    sim.deliver()
    assert (sim.alarm(1), sim.alarm(0)) == (100, NEVER)
    sim.call("set_on", 1, 1, 200)
    assert kicks() == 1
    sim.call("set_on", 2, 1, 50)
    assert kicks() == 2


def test_a_timer_that_sets_itself_again(sim):
    sim.timers[0].period = 10
    sim.call("set", 0, 10)
    for beat in range(1, 6):
        sim.advance(10)
        assert sim.timers[0].count == beat
    sim.advance(30)
    assert sim.timers[0].count == 8  # it catches up


def test_timers_of_one_deadline_expire_in_the_order_set(sim):
    order = [3, 1, 2]
    for number in order:
        sim.call("set", number, 10)
    queue = host().per_cpu(0, f"{KERNEL}timer.Timers").queue
    found, link = [], queue.first
    while link != host().ffi.NULL:
        found.append(next(n for n in range(TIMERS) if sim.timer(n) == link.owner))
        link = link.next
    assert found == order
