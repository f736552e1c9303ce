"""How long CPUs stay in the hypervisor: what is kept against a model, and what key p shows of all CPUs."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.common.guests import Machine
from tests.common.host import KERNEL, MACHINE, host

STATS = f"{KERNEL}exit_stats."
DUMP = f"{KERNEL}exit_dump."
CPUS = 3
EXIT, WAKE_UP, STEP = 2, 3, 4  # the simulated machine has three reasons of its own: 0 to 2
ROW = re.compile(r"\(hv\)   (.*): (\d+), mean (\d+), longest (\d+) on CPU (\d+)\n")


def power_on():
    for name in ("crosscall.CallSlot", "crosscall.Callers", "cpus.Cpu", "spinlock.HeldRanks", "softirq.Pending"):
        host().cleared_per_cpu(KERNEL + name)
    host().cleared_per_cpu(f"{STATS}Runs")
    host().cleared_per_cpu(f"{MACHINE}SimulatedCpu")
    host().cleared(f"{KERNEL}console.console")
    host().cleared(f"{DUMP}machine_records")
    machine = host().cleared(f"{MACHINE}machine")
    machine.kick_handler = host().function("hv.sim.interrupts.kicked")
    host().enter(0)
    host().call("hv.sim.console.attach")
    host().printed()
    return machine


def run(cpu, reason, length):
    """A run of so many nanoseconds, and time between it and the next."""
    host().enter(cpu)
    if reason == STEP:
        since = host().call(f"{MACHINE}time")
        host().call(f"{MACHINE}advance", length)
        host().call(f"{STATS}count_step", since)
    else:
        host().call(f"{STATS}begin_run", reason)
        host().call(f"{MACHINE}advance", length)
        host().call(f"{STATS}end_run")
    host().call(f"{MACHINE}advance", 1000)
    host().enter(0)


RUNS = st.lists(st.tuples(st.integers(0, CPUS - 1), st.integers(0, STEP), st.integers(0, 10_000)), max_size=40)


@given(RUNS)
def test_each_cpu_keeps_its_own_runs_and_together_they_are_the_machines(runs):
    power_on()
    for each in runs:
        run(*each)
    for cpu in range(CPUS):
        for reason in range(STEP + 1):
            of = [length for on, why, length in runs if (on, why) == (cpu, reason)]
            record = host().per_cpu(cpu, f"{STATS}Runs").records.of[reason]
            assert (record.count, record.total, record.longest) == (len(of), sum(of), max(of, default=0))
        host().enter(cpu)
        host().call(f"{DUMP}merge")
    for reason in range(STEP + 1):
        of = [(length, -cpu) for cpu, why, length in runs if why == reason]
        record = host().variable(f"{DUMP}machine_records").of[reason]
        longest, first = max(of, default=(0, 0))
        assert (record.count, record.total) == (len(of), sum(length for length, _ in of))
        assert record.longest == longest
        assert longest == 0 or record.cpu == -first


def test_a_key_shows_the_runs_of_all_cpus_and_another_forgets_them():
    machine = Machine(CPUS)

    def press(character):
        return "\n".join(machine.press(character)) + "\n"

    run(0, EXIT, 100)
    run(2, EXIT, 500)
    run(1, WAKE_UP, 7)
    run(1, STEP, 70)
    exits, wake_ups, steps = [(name, *map(int, numbers)) for name, *numbers in ROW.findall(press("p"))]
    assert exits == ("a guest's exit", 2, 300, 500, 2)
    assert wake_ups == ("end of sleep", 1, 7, 7, 1)
    assert steps == ("step of long work", 1, 70, 70, 1)
    assert "all counts are zero" in press("P")
    assert {name for name, *_ in ROW.findall(press("p"))} == {"step of long work"}  # this very output
