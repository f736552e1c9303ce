"""The watchdog on simulated CPUs: who is found stuck, by whom, and when; and what is told of it."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hv.common.kernel.rank import Rank
from tests.common.cpus import Body, in_turns
from tests.common.guests import CPUS, KERNEL, Machine
from tests.common.host import HALTED, ending

WATCHDOG = f"{KERNEL}watchdog."
SECOND = 10**9
STEP = SECOND // 10  # between two looks of the test at all CPUs
SENTENCE = "Watchdog timer detects that CPU{} is stuck!"


class Watched(Machine):
    """A machine whose watchdog runs. `stuck` CPUs take nothing; the others take what is due at each step."""

    def __init__(self, cpus: int, options: str = "watchdog") -> None:
        super().__init__(cpus)
        self.call(f"{KERNEL}cmdline.read_command_line", f"noreboot {options}")
        self.call(f"{WATCHDOG}start_watchdog")
        self.stuck: set[int] = set()
        for cpu in range(cpus):
            self.take(cpu)  # each sets its own alarm

    @property
    def period(self) -> int:
        """Of a heart, in ns."""
        return int(self.call(f"{WATCHDOG}Settings.period", self.host.variable(f"{WATCHDOG}settings")))

    def take(self, cpu: int) -> None:
        """What is due on the CPU."""
        self.enter(cpu)
        self.call("hv.sim.machine.poll")
        self.call(f"{KERNEL}softirq.run_softirqs")

    def live(self, ns: int) -> None:
        for _ in range(ns // STEP):
            self.advance(STEP)
            for cpu in range(self.cpus):
                if cpu not in self.stuck:
                    self.take(cpu)

    def ring_next(self, cpus: list[int]) -> int:
        """The first of their alarms rings, at its time. Returns whose it is."""
        cpu = min(cpus, key=self.alarm)
        self.advance(max(0, self.alarm(cpu) - self.now()))
        self.take(cpu)
        return cpu

    def now(self) -> int:
        return int(self.call("hv.sim.machine.time"))

    def simulated(self, cpu: int) -> Any:
        return self.host.per_cpu(cpu, "hv.sim.machine.SimulatedCpu")

    def watch(self, cpu: int) -> Any:
        return self.host.per_cpu(cpu, f"{WATCHDOG}Watch")

    def alarm(self, cpu: int) -> int:
        assert self.simulated(cpu).alarm_set
        return int(self.simulated(cpu).alarm)

    @property
    def found(self) -> list[int]:
        """How often each CPU was asked urgently to say where it is."""
        return [self.simulated(cpu).urged for cpu in range(self.cpus)]


@given(data=st.data(), cpus=st.integers(2, 5), timeout=st.integers(1, 60))
def test_cpus_that_beat_are_never_found(data: st.DataObject, cpus: int, timeout: int) -> None:
    """Whatever the order in which CPUs come to their softirqs, slow ones always up to three periods late; and when the
    machine stood still as a whole, however long.
    """
    machine = Watched(cpus, f"watchdog_timeout={timeout}")
    slow = data.draw(st.sets(st.integers(0, cpus - 1)))
    steps = st.just(machine.period) | st.integers(0, machine.period)
    for _ in range(data.draw(st.integers(1, 40))):
        still = data.draw(st.integers(0, 9)) == 0
        machine.advance(data.draw(st.integers(0, 10**6)) * SECOND if still else data.draw(steps))
        for cpu in data.draw(st.permutations(range(cpus))):
            late = machine.now() - machine.alarm(cpu)
            if still or late >= (2 * machine.period if cpu in slow else 0):
                machine.take(cpu)
        assert machine.found == [0] * cpus


@given(data=st.data(), cpus=st.integers(2, CPUS), timeout=st.integers(1, 60))
def test_cpus_that_hang_are_found_in_time_each_by_one(data: st.DataObject, cpus: int, timeout: int) -> None:
    """Some hang from some moment on, and the others go on, in time. A CPU that hangs is found by the one whose
    neighbour it is, if that lives: not before the timeout has gone by since its last beat, and a period later at the
    most. Who has found one does no more, as a panic would see to.
    """
    machine = Watched(cpus, f"watchdog_timeout={timeout}")
    alive = list(range(cpus))
    last = [machine.now()] * cpus
    for _ in range(data.draw(st.integers(0, 20))):
        last[machine.ring_next(alive)] = machine.now()
    machine.stuck = data.draw(st.sets(st.integers(0, cpus - 1), min_size=1))
    alive = [cpu for cpu in alive if cpu not in machine.stuck]
    found: dict[int, int] = {}
    end = max(last) + timeout * SECOND + machine.period
    while alive and min(map(machine.alarm, alive)) <= end:
        before = machine.found
        finder = machine.ring_next(alive)
        for cpu in range(cpus):
            if machine.found[cpu] != before[cpu]:
                assert cpu not in found and cpu == (finder + 1) % cpus
                found[cpu] = machine.now()
                alive.remove(finder)
    assert set(found) == {cpu for cpu in machine.stuck if (cpu - 1) % cpus not in machine.stuck}
    for cpu, at in found.items():
        assert timeout * SECOND <= at - last[cpu] <= timeout * SECOND + machine.period


def test_an_idle_cpu_wakes_once_a_period_and_is_not_kicked() -> None:
    machine = Watched(4)
    kicks = [machine.simulated(cpu).kicks for cpu in range(4)]
    woken = [machine.ring_next([0, 1, 2, 3]) for _ in range(4 * 30)]
    assert machine.now() == 30 * machine.period
    assert [woken.count(cpu) for cpu in range(4)] == [30] * 4
    assert [machine.simulated(cpu).kicks for cpu in range(4)] == kicks
    assert [machine.watch(cpu).beats for cpu in range(4)] == [30] * 4


@given(seed=st.integers(0, 2**64 - 1), stuck=st.none() | st.integers(0, 3))
def test_cpus_in_any_interleaving(seed: int, stuck: int | None) -> None:
    """Each idles as on a machine, steps of all mixed. They end when the one that hangs is found, or after 20 beats."""
    machine = Watched(4)

    def idle(cpu: int, beats: int) -> Body:
        def body() -> None:
            while machine.watch(cpu).beats < beats and not any(machine.found):
                machine.call("hv.sim.arch.wait_for_interrupt")
                machine.call("hv.sim.arch.poll_interrupts")
                machine.call(f"{KERNEL}softirq.run_softirqs")

        return body

    in_turns(seed, *[idle(cpu, 3 if cpu == stuck else 20) for cpu in range(4)])
    assert machine.found == [int(cpu == stuck) for cpu in range(4)]


def test_one_of_two_neighbours_that_are_stuck_is_found() -> None:
    """The one whose watcher lives; the other is behind it."""
    machine = Watched(4)
    machine.stuck = {1, 2}
    machine.live(5 * SECOND + STEP)
    assert machine.found == [0, 1, 0, 0]


def test_a_cpu_that_takes_interrupts_but_runs_no_softirq_is_found() -> None:
    machine = Watched(3)
    machine.stuck = {1}
    for _ in range(51):
        machine.live(STEP)
        machine.enter(1)
        machine.call("hv.sim.machine.poll")
    assert machine.found == [0, 1, 0]


def test_cpus_that_start_late_are_left_out() -> None:
    """The ring is of those that are online, wherever their numbers."""
    machine = Machine(CPUS)
    for cpu in (0, 2, 5):
        machine.host.per_cpu(cpu, f"{KERNEL}cpus.Cpu").online = 0
    machine.call(f"{KERNEL}cmdline.read_command_line", "watchdog")
    machine.enter(1)
    machine.call(f"{WATCHDOG}start_watchdog")
    ring = {cpu: machine.host.per_cpu(cpu, f"{WATCHDOG}Watch").neighbour for cpu in (1, 3, 4, 6, 7)}
    assert ring == {1: 3, 3: 4, 4: 6, 6: 7, 7: 1}


def test_one_that_answers_says_so_itself() -> None:
    """The panic is the stuck CPU's own, so its backtrace says where it hangs."""
    machine = Watched(4)
    machine.stuck = {2}
    machine.live(5 * SECOND + STEP)
    assert machine.found == [0, 0, 1, 0]
    machine.lines()

    def answer() -> None:
        machine.enter(2)
        if machine.call(f"{WATCHDOG}is_suspected"):
            machine.call(f"{WATCHDOG}confess")

    status, said = ending(answer)
    assert status == HALTED
    assert said.splitlines()[:2] == ["(hv) PANIC on CPU 2", f"(hv) {SENTENCE.format(2)}"]
    assert said.count("PANIC") == 1


def test_one_that_does_not_answer_is_told_of_by_who_found_it() -> None:
    machine = Watched(3)
    machine.stuck = {1}
    machine.enter(1)
    machine.call(f"{KERNEL}softirq.raise_softirq", 2)
    machine.live(5 * SECOND)
    machine.lines()
    status, said = ending(lambda: machine.live(3 * SECOND))
    lines = [line.removeprefix("(hv) ") for line in said.splitlines() if line.startswith("(hv) ")]
    assert status == HALTED
    assert lines[:3] == ["PANIC on CPU 0", SENTENCE.format(1), "  it does not answer: it has interrupts masked"]
    assert re.search(r"not beaten once in [67] s$", lines[3]), lines[3]
    assert "  softirq WORK is pending" in lines
    assert "  it runs no vCPU" in lines
    assert sum("PANIC" in line for line in lines) == 1


def test_what_hangs_in_the_middle_of_a_guest_names_the_guest_and_the_lock() -> None:
    machine = Watched(3)
    machine.with_heap().start_scheduling()
    vcpu = machine.call("hv.sim.vcpus.make_vcpu", machine.call("hv.sim.vcpus.make_domain", 1, 1), 1 << 1)
    machine.core("vcpu_up", vcpu, 0x4000, 0)
    assert machine.settle(1) == vcpu
    held = machine.host.per_cpu(1, f"{KERNEL}spinlock.HeldRanks")
    held.bits = 1 << int(Rank.HEAP)
    machine.stuck = {1}
    status, said = ending(lambda: machine.live(8 * SECOND))
    assert status == HALTED
    assert "  it runs d1 test vCPU 0\r\n" in said
    assert "  it holds, or waits for, a lock of rank HEAP\r\n" in said


def test_it_is_off_unless_asked_for() -> None:
    machine = Watched(2, "")
    machine.stuck = {1}
    machine.live(20 * SECOND)
    assert machine.found == [0, 0]


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ("watchdog", 5),
        ("watchdog=force", 5),
        ("watchdog_timeout=9", 9),
        ("watchdog watchdog_timeout=9", 9),
        ("watchdog_timeout=9 no-watchdog", 0),
        ("watchdog watchdog_timeout=0", 0),
        ("watchdog=off", 0),
    ],
)
def test_options(options: str, seconds: int) -> None:
    """As Xen has them. 0: off."""
    said = Watched(2, options).lines()
    expected = f"(hv) watchdog: a CPU that hangs for {seconds} s is told by its neighbour"
    assert said == ([expected] if seconds else [])


@pytest.mark.parametrize("option", ["watchdog=perhaps", "watchdog_timeout=", "watchdog_timeout=5s"])
def test_options_that_are_refused(option: str) -> None:
    assert Watched(2, option).lines() == [f'(hv) option "{option}" has a value that it cannot take']


def test_a_cpu_alone_cannot_be_watched() -> None:
    machine = Watched(1)
    assert machine.lines() == ["(hv) watchdog: off, since no other CPU is there to watch this one"]
    machine.live(20 * SECOND)
    assert machine.found == [0]
