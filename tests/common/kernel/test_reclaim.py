"""Deferred reclamation: what is retired goes when every CPU has ended its way, neither before nor never, in order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.common.guests import KERNEL, Machine

CPUS = 4
STORMS = "hv.sim.storms."
INTERVAL = 1_000_000  # ns
RECLAIM = 5  # softirq


class Reclamation(RuleBasedStateMachine):
    """CPUs that read, retire, end their ways, and do long work, in any order. A leaf that a CPU has read since its way
    began must not be in the pool's hands."""

    @initialize()
    def power_on(self):
        self.machine = Machine(CPUS).with_heap().start_scheduling()
        self.machine.settle_all()
        self.pool = self.machine.host.variable(f"{STORMS}leaves")
        self.reclaimer = self.machine.host.variable(f"{KERNEL}reclaim.reclaimer")
        self.reading = [set() for _ in range(CPUS)]  # what each CPU may still look at
        self.found = set()  # what is in its place
        self.retired = []  # in order
        self.made = 0

    def address(self, leaf):
        return int(self.machine.ffi.cast("uintptr_t", leaf))

    @rule(cpu=st.integers(0, CPUS - 1))
    def make(self, cpu):
        self.machine.enter(cpu)
        leaf = self.machine.call(f"{STORMS}make_leaf", self.made)
        self.made += 1
        self.found.add(self.address(leaf))

    @precondition(lambda self: self.found)
    @rule(cpu=st.integers(0, CPUS - 1), data=st.data())
    def read(self, cpu, data):
        self.reading[cpu].add(data.draw(st.sampled_from(sorted(self.found))))

    @precondition(lambda self: self.found)
    @rule(cpu=st.integers(0, CPUS - 1), data=st.data())
    def retire(self, cpu, data):
        leaf = data.draw(st.sampled_from(sorted(self.found)))
        self.found.remove(leaf)
        self.retired.append(leaf)
        self.machine.enter(cpu)
        self.machine.call(f"{STORMS}retire_leaf", leaf)

    @rule(cpu=st.integers(0, CPUS - 1))
    def end_way(self, cpu):
        """The CPU reads nothing any more from here on, before it runs its softirqs."""
        self.reading[cpu].clear()
        self.machine.settle(cpu)
        self.look()

    @rule(cpu=st.integers(0, CPUS - 1))
    def work(self, cpu):
        self.reading[cpu].clear()
        self.machine.idle_step(cpu)
        self.look()

    @rule(ns=st.sampled_from([1000, INTERVAL // 2, INTERVAL, 3 * INTERVAL]))
    def wait(self, ns):
        self.machine.advance(ns)

    def look(self):
        """What has gone since, went in order."""
        gone = len(self.found) + len(self.retired) - self.pool.used
        for leaf in self.retired[:gone]:
            assert not any(leaf in seen for seen in self.reading), "a leaf goes that a CPU may still read"
        del self.retired[:gone]
        self.check()

    @invariant()
    def check(self):
        if hasattr(self, "machine"):
            assert self.pool.used == len(self.found) + len(self.retired)
            for leaf in [*self.found, *self.retired]:
                assert self.machine.call(f"{STORMS}leaf_is_whole", leaf), "a leaf is overwritten"

    def teardown(self):
        if hasattr(self, "machine"):
            self.machine.reclaim()
            assert self.pool.used == len(self.found), "a leaf that was retired does not go"


TestReclamation = Reclamation.TestCase
TestReclamation.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


@pytest.fixture
def machine():
    made = Machine(CPUS).with_heap().start_scheduling()
    made.settle_all()
    made.pool = made.host.variable(f"{STORMS}leaves")
    return made


def retire_one(machine):
    leaf = machine.call(f"{STORMS}make_leaf", 1)
    machine.call(f"{STORMS}retire_leaf", int(machine.ffi.cast("uintptr_t", leaf)))


def interrupted(machine, cpu):
    return bool(machine.host.per_cpu(cpu, "hv.sim.machine.SimulatedCpu").kicked)


def test_cpus_that_come_by_are_not_interrupted(machine):
    machine.enter(0)
    retire_one(machine)
    machine.idle_step(0)
    for cpu in range(1, CPUS):
        assert machine.host.per_cpu(cpu, f"{KERNEL}softirq.Pending").bits >> RECLAIM & 1 and not interrupted(
            machine, cpu
        )
    for cpu in range(CPUS):
        machine.settle(cpu)
    while machine.idle_step(0):
        pass
    assert machine.pool.used == 0 and not any(interrupted(machine, cpu) for cpu in range(CPUS))


def test_a_cpu_that_does_not_come_by_is_interrupted_after_a_while(machine):
    machine.enter(0)
    retire_one(machine)
    machine.idle_step(0)
    for cpu in (0, 1, 3):
        machine.settle(cpu)
    machine.advance(INTERVAL - 1)
    machine.idle_step(0)
    assert machine.pool.used == 1 and not interrupted(machine, 2)
    machine.advance(INTERVAL)
    machine.idle_step(0)
    assert [interrupted(machine, cpu) for cpu in range(CPUS)] == [False, False, True, False]
    assert machine.pool.used == 1
    machine.reclaim()
    assert machine.pool.used == 0
