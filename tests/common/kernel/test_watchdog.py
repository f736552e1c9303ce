"""The watchdog on simulated CPUs: who is found stuck, by whom, and when; and what is told of it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hv.common.kernel.rank import Rank
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

    @property
    def found(self) -> list[int]:
        """How often each CPU was asked urgently to say where it is."""
        return [self.host.per_cpu(cpu, "hv.sim.machine.SimulatedCpu").urged for cpu in range(self.cpus)]


@settings(max_examples=20)
@given(data=st.data(), cpus=st.integers(2, CPUS), timeout=st.integers(1, 10))
def test_cpus_that_beat_are_never_found(data: st.DataObject, cpus: int, timeout: int) -> None:
    """However late within a timeout: each may let several beats of its neighbour's go by, busy or asleep."""
    machine = Watched(cpus, f"watchdog_timeout={timeout}")
    late = data.draw(st.lists(st.integers(1, 3), min_size=cpus, max_size=cpus))
    for step in range(40):
        machine.advance(machine.period)
        for cpu in range(cpus):
            if step % late[cpu] == 0:
                machine.take(cpu)
    assert machine.found == [0] * cpus


@settings(max_examples=40)
@given(data=st.data(), cpus=st.integers(2, CPUS), timeout=st.integers(2, 10), lived=st.integers(0, 50))
def test_a_stuck_cpu_is_found_in_time_and_asked_once(data: st.DataObject, cpus: int, timeout: int, lived: int) -> None:
    """After the timeout, within two periods, by the one CPU that watches it; though its own neighbour, or the one that
    would watch another, be stuck as well."""
    machine = Watched(cpus, f"watchdog_timeout={timeout}")
    machine.live(lived * STEP)
    machine.stuck = data.draw(st.sets(st.integers(0, cpus - 1), min_size=1, max_size=cpus - 1))
    machine.live(timeout * SECOND - machine.period - STEP)
    assert machine.found == [0] * cpus, "found before the timeout"
    for _ in range(3 * machine.period // STEP + 2):
        if any(machine.found):
            break
        machine.live(STEP)
    watched = [cpu in machine.stuck and (cpu - 1) % cpus not in machine.stuck for cpu in range(cpus)]
    assert any(machine.found), "nobody is found"
    assert all(count <= watched[cpu] for cpu, count in enumerate(machine.found)), machine.found


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
    assert re.search(r" [67] s ago$", lines[3]), lines[3]
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
    held.ranks[0], held.depth = int(Rank.HEAP), 1
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
