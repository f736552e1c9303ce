"""CPUs in turns: the seed decides about the order, mistakes in it are found, and the same seed makes the same again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.cpus import STUCK, at_once, in_turns, nothing, team
from tests.common.host import KERNEL, SAMPLES, ending, host
from tests.common.walkers import Walkers

BROKEN = "hv.sim.broken."
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def machine():
    return power_on()


def power_on():
    Walkers(host().library)
    for name in ("softirq.Pending", "crosscall.CallSlot", "crosscall.Callers", "cpus.Cpu", "spinlock.HeldRanks"):
        host().cleared_per_cpu(KERNEL + name)
    for name in ("hv.sim.machine.SimulatedCpu", f"{SAMPLES}Calls"):
        host().cleared_per_cpu(name)
    machine = host().cleared("hv.sim.machine.machine")
    machine.kick_handler = host().function("hv.sim.interrupts.kicked")
    for name in ("door", "mailbox", "tally"):
        host().cleared(BROKEN + name)
    host().cleared(f"{SAMPLES}locks")
    host().cleared("hv.sim.team.team")
    host().enter(0)
    return machine


def does(name, *arguments):
    return lambda: host().call(name, *arguments)


def met():
    return host().variable(f"{BROKEN}door").met


def broken_door(seed, cpus=2):
    power_on()
    return in_turns(seed, *[does(f"{BROKEN}through_a_broken_door", 50)] * cpus)


def test_a_broken_lock_is_caught():
    """Many seeds let two CPUs in at once."""
    found = 0
    for seed in range(20):
        broken_door(seed)
        found += met() != 0
    assert found >= 5


@given(seed=SEEDS, cpus=st.integers(2, 5))
def test_a_lock_that_is_right_lets_one_in(seed, cpus):
    power_on()
    in_turns(seed, *[does(f"{BROKEN}through_a_door", 10)] * cpus)
    assert met() == 0


@given(seed=SEEDS, cpus=st.integers(1, 5))
def test_the_same_seed_gives_the_same_trace(seed, cpus):
    first = broken_door(seed, cpus)
    often = met()
    assert broken_door(seed, cpus) == first
    assert met() == often


def test_seeds_differ():
    traces = {broken_door(seed).switches for seed in range(20)}
    assert len(traces) == 20


@given(seed=SEEDS)
def test_a_ticket_lock_lets_one_in(seed):
    power_on()
    in_turns(seed, *[lambda: [host().call(f"{SAMPLES}take_in_order") for _ in range(10)]] * 3)
    assert host().variable(f"{SAMPLES}locks").count == 30


@given(seed=SEEDS)
def test_cpus_that_call_each_other(seed):
    power_on()

    def work():
        for i in range(5):
            host().call(f"{SAMPLES}call_sample_on_others", i)

    in_turns(seed, *team(work, work, work, nothing))
    assert [host().per_cpu(cpu, f"{SAMPLES}Calls").count for cpu in range(4)] == [10, 10, 10, 15]


def test_a_cpu_that_waits_is_woken_by_an_interrupt(machine):
    def sleeps():
        host().call("hv.sim.arch.wait_for_interrupt")
        host().call("hv.sim.arch.poll_interrupts")

    for seed in range(10):
        in_turns(seed, sleeps, does("hv.sim.arch.send_ipi", 0))
        assert host().per_cpu(0, "hv.sim.machine.SimulatedCpu").kicked == 0


def test_the_clock_moves_to_the_first_alarm_when_all_wait(machine):
    def sleeps(until):
        host().call("hv.sim.arch.set_alarm", until)
        host().call("hv.sim.arch.wait_for_interrupt")
        return host().call("hv.sim.arch.now")

    woken = []
    in_turns(1, lambda: woken.append((2, sleeps(2_000_000))), lambda: woken.append((1, sleeps(1_000_000))))
    assert [cpu for cpu, _ in woken] == [1, 2]
    assert all(cpu * 1_000_000 <= at < cpu * 1_000_000 + 1000 for cpu, at in woken)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (does(f"{BROKEN}wait_for_ever"), "the steps are used up"),
        (does("hv.sim.arch.wait_for_interrupt"), "every CPU waits for an interrupt"),
    ],
)
def test_a_machine_that_is_stuck_says_where(body, said):
    status, text = ending(lambda: in_turns(3, body, body, limit=20_000))
    assert status == STUCK and text.startswith(said)
    assert "CPU 0" in text and "CPU 1" in text


def test_what_a_body_raises_is_raised():
    def fails():
        raise ValueError("of CPU 1")

    for way in (lambda *bodies: in_turns(1, *bodies), at_once):
        with pytest.raises(ValueError, match="of CPU 1"):
            way(nothing, fails)


def test_cpus_at_once():
    at_once(*[does(f"{BROKEN}through_a_door", 1000)] * 3)
    assert met() == 0
    at_once(*[does(f"{BROKEN}count_with_a_lock", 1000)] * 3)
    assert host().variable(f"{BROKEN}tally").count == 3000


def test_letters_arrive_whole():
    at_once(does(f"{BROKEN}post", 1000, False), does(f"{BROKEN}collect", 1000))
    assert host().variable(f"{BROKEN}mailbox").torn == 0
