"""`python -m tests.sim.many CPUS NAME …`: thousands of CPUs that take turns, in the library that
CONSTRICTOR_HOST_VARIANT=many names. Says how many steps the machine took.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from tests.common.cpus import Body, in_turns
from tests.common.guests import VCPUS
from tests.common.host import host
from tests.sim.storms import Storm, calls, cross_calls, power_on, softirqs

SEED = 4711
LIMIT = 1 << 40  # steps
ROUNDS = 2
DOMAINS, VCPUS_EACH = 15, 64


def scheduler(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    """As many domains as there may be; each CPU wakes, pauses and yields the vCPUs of one."""
    machine = power_on(cpus).start_scheduling()
    domains = []
    for number in range(DOMAINS):
        domain = machine.call(f"{VCPUS}make_domain", number + 1, VCPUS_EACH)
        vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, 0) for _ in range(VCPUS_EACH)]
        machine.enter(0)
        for vcpu in vcpus:
            machine.core("vcpu_up", vcpu, 0, 0)
        domains.append((domain, vcpus))
    host().call("hv.sim.team.begin", cpus)

    def check() -> None:
        """No vCPU has its registers on two CPUs, and they were loaded on many."""
        loaded = [machine.call(f"{VCPUS}loaded_on", vcpu) for _, vcpus in domains for vcpu in vcpus]
        on = [cpu for cpu in loaded if cpu]
        assert len(set(on)) == len(on) > len(loaded) // 10

    work = [
        calls(f"{VCPUS}churn", domains[cpu % len(domains)][0], (seed * 31 + cpu) % 2**32, rounds) for cpu in range(cpus)
    ]
    return work, check


def alarms(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    power_on(cpus)

    def check() -> None:
        """Each has rung as often as it was set; nothing is left."""
        for cpu in range(cpus):
            assert host().per_cpu(cpu, "hv.sim.storms.Storm").timers[0].told == rounds
            assert host().per_cpu(cpu, "hv.common.kernel.timer.Timers").queue.length == 0

    host().call("hv.sim.team.begin", cpus)  # nobody serves the others at the end: who spins keeps the clock from moving
    return [calls("hv.sim.storms.alarms", seed, rounds, cpus)] * cpus, check


MANY = {"softirqs": softirqs, "alarms": alarms, "cross calls": cross_calls, "scheduler": scheduler}


def main(cpus: str, *names: str) -> None:
    for name in names:
        done = Storm(MANY[name], int(cpus)).run(functools.partial(in_turns, SEED, limit=LIMIT), ROUNDS, SEED)
        print(f"{name}: {done.steps} steps, {len(done.switches)} switches", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
