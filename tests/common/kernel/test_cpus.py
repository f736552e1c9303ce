"""What CPUs do to each other: softirqs, calls, locks. Each CPU is a thread."""

import pytest

from tests.common.cpus import at_once, nothing, team
from tests.common.host import KERNEL, MACHINE, SAMPLES, ending, host

TIMER, CONSOLE, WORK, SCHEDULE = range(4)


@pytest.fixture
def machine():
    for name in (
        "softirq.Pending",
        "crosscall.CallSlot",
        "crosscall.Callers",
        "cpus.Cpu",
        "spinlock.HeldRanks",
        "timer.Timers",
    ):
        host().cleared_per_cpu(KERNEL + name)
    for name in (f"{MACHINE}SimulatedCpu", f"{SAMPLES}Calls"):
        host().cleared_per_cpu(name)
    machine = host().cleared(f"{MACHINE}machine")
    machine.kick_handler = host().function("hv.sim.interrupts.kicked")
    host().cleared(f"{SAMPLES}locks")
    host().enter(0)
    return machine


def kicks(cpu):
    return host().per_cpu(cpu, f"{MACHINE}SimulatedCpu").kicks


def pending(cpu):
    host().enter(cpu)
    found = bool(host().call(f"{KERNEL}softirq.softirqs_pending"))
    host().enter(0)
    return found


def test_raising_a_softirq_elsewhere_interrupts_once(machine):
    host().call(f"{KERNEL}softirq.raise_on", 1, WORK)
    host().call(f"{KERNEL}softirq.raise_on", 1, WORK)
    assert (kicks(1), pending(1), pending(0)) == (1, True, False)
    host().call(f"{KERNEL}softirq.raise_on", 1, TIMER)
    assert kicks(1) == 2


def test_raising_a_softirq_here_interrupts_nobody(machine):
    host().call(f"{KERNEL}softirq.raise_on", 0, CONSOLE)
    host().call(f"{KERNEL}softirq.raise_softirq", TIMER)
    assert (kicks(0), pending(0)) == (0, True)
    host().call(f"{KERNEL}softirq.run_softirqs")
    assert not pending(0)


def calls(cpu):
    return host().per_cpu(cpu, f"{SAMPLES}Calls")


def test_a_call_on_another_cpu_has_run_when_it_returns(machine):
    seen = []

    def work():
        for i in range(1, 200):
            host().call(f"{SAMPLES}call_sample_on", 1, i)
            seen.append((calls(1).count, calls(1).last) == (i, i))

    at_once(*team(work, nothing))
    assert all(seen)
    assert calls(0).count == 0


def test_a_call_on_this_cpu(machine):
    host().call(f"{SAMPLES}call_sample_on", 0, 5)
    assert (calls(0).count, calls(0).last, kicks(0)) == (1, 5, 0)


def test_a_call_on_all_others(machine):
    def work():
        for i in range(100):
            host().call(f"{SAMPLES}call_sample_on_others", i)
            assert [calls(cpu).last for cpu in (1, 2)] == [i, i]

    at_once(*team(work, nothing, nothing))
    assert [calls(cpu).count for cpu in range(3)] == [0, 100, 100]


def test_cpus_may_call_each_other_at_once(machine):
    def work():
        for i in range(300):
            host().call(f"{SAMPLES}call_sample_on_others", i)

    at_once(*team(work, work, work))
    assert [calls(cpu).count for cpu in range(3)] == [600, 600, 600]


def test_a_lock_lets_one_in(machine):
    """The count under the lock is a plain one: an increment lost shows."""

    def work():
        for _ in range(3000):
            host().call(f"{SAMPLES}take_in_order")

    at_once(work, work, work)
    assert host().variable(f"{SAMPLES}locks").count == 9000


@pytest.mark.parametrize("mistake", ["take_out_of_order", "take_twice"])
def test_a_debug_build_panics_on_locks_out_of_order(machine, mistake):
    host().call(f"{SAMPLES}take_in_order")
    status, _ = ending(lambda: host().call(SAMPLES + mistake))
    assert status != 0


def test_a_debug_build_panics_on_a_call_with_a_lock_held(machine):
    host().call(f"{SAMPLES}call_sample_on_others", 1)
    status, _ = ending(lambda: host().call(f"{SAMPLES}call_with_lock", 1))
    assert status != 0


def test_online_cpus(machine):
    online = host().variable(f"{KERNEL}cpus.online")
    for cpu in (0, 2):
        host().enter(cpu)
        host().call(f"{KERNEL}cpus.mark_online")
    host().enter(0)
    assert host().call(f"{KERNEL}cpus.OnlineCpus.__len__", online) == 2
    assert [bool(host().call(f"{KERNEL}cpus.OnlineCpus.__contains__", online, cpu)) for cpu in range(5)] == [
        True,
        False,
        True,
        False,
        False,
    ]


def test_the_other_cpus_are_stopped(machine):
    """Here both halt as soon as they are told."""
    for cpu in range(3):
        host().enter(cpu)
        host().call(f"{KERNEL}cpus.mark_online")
        host().per_cpu(cpu, f"{KERNEL}cpus.Cpu").stopped = cpu != 0
    host().enter(0)
    stopping = host().variable(f"{KERNEL}cpus.stopping")
    try:
        host().call(f"{KERNEL}cpus.stop_others")
        assert (stopping[0], [kicks(cpu) for cpu in range(4)]) == (1, [0, 1, 1, 0])
    finally:
        stopping[0] = 0


def test_a_cpu_that_does_not_stop_is_not_waited_for_long(machine):
    for cpu in range(2):
        host().enter(cpu)
        host().call(f"{KERNEL}cpus.mark_online")
    host().enter(0)
    host().call(f"{KERNEL}cpus.stop_others")
    host().variable(f"{KERNEL}cpus.stopping")[0] = 0
    assert kicks(1) == 1
