"""Storms over parts of hv/common (hv/sim/storms.py): how each begins, and what must hold when it is over.

`python -m tests.sim.storms ROUNDS NAME …` lets CPUs loose at once, as the tests under ThreadSanitizer do in a child.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.common.cpus import Body, at_once, team
from tests.common.guests import VCPUS, Machine
from tests.common.host import host

STORMS = "hv.sim.storms."
BROKEN = "hv.sim.broken."
PLENTY = 1_000_000


@dataclass(frozen=True)
class Storm:
    """`begin` gives what each CPU does in so many rounds, and a check for afterwards."""

    begin: Callable[[int, int, int], tuple[list[Body], Callable[[], None]]]
    cpus: int = 4

    def run(self, way: Callable[..., object], rounds: int, seed: int = 1) -> object:
        """`way`: at_once, or in_turns with its seed."""
        bodies, check = self.begin(self.cpus, rounds, seed)
        done = way(*bodies)
        check()
        return done


def calls(name: str, *arguments: object) -> Body:
    return lambda: host().call(name, *arguments)


def power_on(cpus: int) -> Machine:
    machine = Machine(cpus).with_heap()
    machine.walkers.rules.asleep = True
    return machine


def nothing_to_check() -> None:
    pass


def locks(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    power_on(cpus)

    def check() -> None:
        assert host().variable("hv.sim.samples.locks").count == cpus * rounds

    return team(*[calls(f"{STORMS}locks", seed, rounds)] * cpus), check


def softirqs(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    power_on(cpus)

    def check() -> None:
        for cpu in range(cpus):
            host().enter(cpu)
            host().call("hv.sim.machine.poll")
            host().call("hv.common.kernel.softirq.run_softirqs")
            assert not host().call("hv.common.kernel.softirq.softirqs_pending")

    return team(*[calls(f"{STORMS}softirqs", seed, rounds, cpus)] * cpus), check


def timers(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    power_on(cpus)

    def check() -> None:
        told = 0
        for cpu in range(cpus):
            queue = host().per_cpu(cpu, "hv.common.kernel.timer.Timers").queue
            assert not queue.first and queue.length == 0
            told += sum(t.told for t in host().per_cpu(cpu, f"{STORMS}Storm").timers)
        assert told > 0

    return team(*[calls(f"{STORMS}timers", seed, rounds, cpus)] * cpus), check


def cross_calls(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    power_on(cpus)

    def check() -> None:
        told = sum(host().per_cpu(cpu, f"{STORMS}Storm").told for cpu in range(cpus))
        assert cpus * rounds <= told <= cpus * rounds * (cpus - 1)

    return team(*[calls(f"{STORMS}calls", seed, rounds, cpus)] * cpus), check


def waits(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    power_on(cpus)
    for name in ("Asked", "Shootdown"):
        host().cleared_per_cpu(f"hv.x86.tlb.{name}")
    host().cleared(f"{STORMS}waited")
    host().call("hv.sim.x86_cpu.be_pc")
    for cpu in range(cpus):
        host().enter(cpu)
        host().call("hv.sim.x86_cpu.start_cpu")
    host().enter(0)

    def check() -> None:
        storms = [host().per_cpu(cpu, f"{STORMS}Storm") for cpu in range(cpus)]
        waited = host().variable(f"{STORMS}waited")
        assert waited.inside == waited.outside == sum(storm.taken for storm in storms) > 0
        assert sum(storm.told for storm in storms) == sum(storm.called for storm in storms) > 0
        assert sum(storm.shot for storm in storms) > 0
        for cpu in range(cpus):  # nobody is waited for any more
            assert host().per_cpu(cpu, "hv.x86.tlb.Shootdown").left == 0
            assert not any(host().per_cpu(cpu, "hv.x86.tlb.Asked").bits)

    return team(*[calls(f"{STORMS}waits", seed, rounds, cpus)] * cpus), check


def deaf(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    """As `waits`, on CPUs that do not answer while they wait for locks and calls."""
    bodies, check = waits(cpus, rounds, seed)
    host().variable("hv.sim.tlb.tlbs").asks_each = False
    return bodies, check


def lines(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    machine = power_on(cpus)
    machine.lines()

    def check() -> None:
        seen = []
        for line in machine.lines()[:-1]:  # the last may be cut: the port keeps so much and no more
            found = re.fullmatch(r"\(hv\) CPU (\d+) says (\d+) (\d+) and no more", line)
            assert found, line
            cpu, i, square = map(int, found.groups())
            assert square == i * i
            seen.append((cpu, i))
        for cpu in range(cpus):
            assert [i for c, i in seen if c == cpu] == list(range(sum(c == cpu for c, _ in seen)))

    return team(*[calls(f"{STORMS}lines", seed, min(rounds, 1000))] * cpus), check


def blocks(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    machine = power_on(cpus)
    before = machine.heap.free_frames

    def check() -> None:
        assert machine.heap.free_frames == before
        assert host().variable(f"{STORMS}shared").refused == 0

    return team(*[calls(f"{STORMS}blocks", seed, rounds)] * cpus), check


def references(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    machine = power_on(cpus)
    before = machine.heap.free_frames
    frame = host().call("hv.common.mm.ownership.allocate_for", 77, 0)
    shared = host().variable(f"{STORMS}shared")
    shared.frame = frame

    def check() -> None:
        assert shared.refused == 0
        host().call("hv.common.mm.ownership.put_frame", frame)
        assert machine.heap.free_frames == before

    return team(*[calls(f"{STORMS}references", seed, rounds)] * cpus), check


def lives(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    machine = power_on(cpus).start_scheduling()

    def check() -> None:
        machine.reclaim()
        assert host().variable("hv.common.model.domain.pool").used == 0
        assert host().variable(f"{STORMS}shared").refused == 0
        assert all(machine.domain(cpu + 1) is None for cpu in range(cpus))

    return team(*[calls(f"{STORMS}lives", seed, rounds, cpus)] * cpus), check


def reclamation(cpus: int, rounds: int, seed: int, at_once: bool = False) -> tuple[list[Body], Callable[[], None]]:
    machine = power_on(cpus).start_scheduling()

    def check() -> None:
        machine.reclaim()
        slots = host().variable(f"{STORMS}twigs").slots
        assert host().variable(f"{STORMS}leaves").used == sum(bool(leaf) for leaf in slots)
        assert host().variable(f"{STORMS}shared").refused == 0

    return team(*[calls(f"{STORMS}leaf_changes", seed, rounds, at_once)] * cpus), check


def scheduler(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    machine = power_on(cpus).start_scheduling()
    domain = machine.call(f"{VCPUS}make_domain", 1, 7)
    vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, affinity) for affinity in (0, 0, 3, 12, 6, 1, 0)]
    machine.enter(0)
    for vcpu in vcpus:
        machine.core("vcpu_up", vcpu, 0, 0)
    host().call("hv.sim.team.begin", cpus)
    return [calls(f"{VCPUS}churn", domain, seed * 31 + cpu, rounds) for cpu in range(cpus)], nothing_to_check


def trace(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
    power_on(cpus)

    def check() -> None:
        buffer = host().variable(f"{STORMS}trace_buffer")
        assert buffer.seen + buffer.lost + buffer.ring.lost == rounds and buffer.seen > 0
        assert buffer.words[0] == buffer.words[1]

    return team(calls(f"{STORMS}trace_writes", seed, rounds), calls(f"{STORMS}trace_reads", seed)), check


def mistake(*names: str, more: Sequence[object] = ()) -> Callable[..., tuple[list[Body], Callable[[], None]]]:
    """One of hv/sim/broken.py: each CPU runs one function of it."""

    def begin(cpus: int, rounds: int, seed: int) -> tuple[list[Body], Callable[[], None]]:
        power_on(cpus)
        host().call("hv.sim.team.begin", cpus)
        return [calls(BROKEN + name, rounds, *(more if name == "post" else ())) for name in names], nothing_to_check

    return begin


SOUND = {
    "locks": Storm(locks),
    "softirqs": Storm(softirqs),
    "timers": Storm(timers),
    "cross calls": Storm(cross_calls),
    "waits": Storm(waits),
    "log": Storm(lines),
    "heap": Storm(blocks),
    "references": Storm(references),
    "domains": Storm(lives),
    "scheduler": Storm(scheduler),
    "reclamation": Storm(reclamation),
    "trace": Storm(trace, 2),
    "counting with a lock": Storm(mistake("count_with_a_lock", "count_with_a_lock"), 2),
    "letters": Storm(mistake("post", "collect", more=(False,)), 2),
}
TOO_EARLY = Storm(functools.partial(reclamation, at_once=True), 2)
RACES = {
    "counting without a lock": Storm(mistake("count_without_a_lock", "count_without_a_lock"), 2),
    "letters without an order": Storm(mistake("post", "collect", more=(True,)), 2),
}
# The first needs more rounds than a CPU may be away when the host is busy: once the others have ended, they have met.
RACE_ROUNDS = {"counting without a lock": 1_000_000, "letters without an order": 500}


def main(rounds: str, *names: str) -> None:
    for name in names:
        print(name, file=sys.stderr, flush=True)
        (SOUND | RACES)[name].run(at_once, int(rounds))


if __name__ == "__main__":
    main(*sys.argv[1:])
