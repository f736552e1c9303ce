"""CPUs of the simulated machine as threads: at once, or in turns that a seed decides.

CPU n runs the n-th of the bodies, Python functions that call compiled ones. `at_once` lets the host's processors decide
about the order; `in_turns` repeats one order per seed, and reports it. What a body raises is raised again; a panic, a
trap or a machine that is stuck ends the process: run what may end so in a child, with tests.common.host.ending.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from tests.common.host import KERNEL, MACHINE, host

TURNS = "hv.sim.turns."
TEAM = "hv.sim.team."
STUCK = 68
LONGEST = 20_000_000  # steps of all CPUs
TICK = 10  # ns that a step takes
STACK = 512 << 10  # bytes of a thread: there may be thousands
JOIN_SECONDS = 600  # a thread that hangs fails its test; a busy host does not

Body = Callable[[], object]


@dataclass(frozen=True)
class Interleaving:
    """What a seed decided: the machine's steps, and which CPU went on at which of them (the last 4096 switches)."""

    seed: int
    steps: int
    checksum: int
    switches: tuple[tuple[int, int], ...]


class _Cpu(threading.Thread):
    def __init__(self, number: int, body: Body, take_seat: Body, leave: Body) -> None:
        super().__init__(name=f"CPU {number}", daemon=True)
        self.number, self.body, self.take_seat, self.leave = number, body, take_seat, leave
        self.failure: BaseException | None = None

    def run(self) -> None:
        host().enter(self.number)
        self.take_seat()
        try:
            self.body()
        except BaseException as failure:  # noqa: BLE001  raised again by who waits
            self.failure = failure
            traceback.print_exc()  # the others may hang without this one
        finally:
            self.leave()


def _run(cpus: list[_Cpu], start: Body) -> None:
    before = threading.stack_size(STACK)
    for cpu in cpus:
        cpu.start()
    threading.stack_size(before)
    start()
    for cpu in cpus:
        cpu.join(timeout=JOIN_SECONDS)
        assert not cpu.is_alive(), f"{cpu.name} does not end"
    host().enter(0)
    for cpu in cpus:
        if cpu.failure is not None:
            raise cpu.failure


def at_once(*bodies: Body) -> None:
    """Each body on its own CPU, all at the same time."""
    machine = host().variable(f"{MACHINE}machine")
    ready = threading.Barrier(len(bodies))
    machine.crowded = True
    try:
        _run([_Cpu(n, body, ready.wait, lambda: None) for n, body in enumerate(bodies)], lambda: None)
    finally:
        machine.crowded = False


def in_turns(seed: int, *bodies: Body, limit: int = LONGEST, tick: int = TICK) -> Interleaving:
    """Each body on its own CPU, one step of one of them at a time. A machine that needs more than `limit` steps, or
    whose CPUs all wait for interrupts that nobody sends, ends the process with status STUCK."""
    lib, turns = host().library.lib, host().variable(f"{TURNS}turns")
    host().call(f"{TURNS}begin", seed, len(bodies), limit, tick)
    lib.cx_turn = host().function(f"{TURNS}passing")
    try:
        seat = lambda: host().call(f"{TURNS}take_seat")  # noqa: E731
        leave = lambda: host().call(f"{TURNS}leave")  # noqa: E731
        _run([_Cpu(n, body, seat, leave) for n, body in enumerate(bodies)], lambda: host().call(f"{TURNS}start"))
    finally:
        lib.cx_turn = host().ffi.NULL
        turns.going = False
    kept = len(turns.switches)
    last = range(max(0, turns.switch_count - kept), turns.switch_count)
    switches = tuple((turns.switches[i % kept].step, turns.switches[i % kept].cpu) for i in last)
    return Interleaving(seed, turns.steps, turns.checksum, switches)


def team(*works: Body) -> list[Body]:
    """Bodies of CPUs that are all online, each with its work to do; one that has done it serves the others until all
    have."""

    def member(work: Body) -> Body:
        def body() -> None:
            try:
                work()
            finally:
                host().call(f"{TEAM}finish")

        return body

    for cpu in range(len(works)):
        host().enter(cpu)
        host().call(f"{KERNEL}cpus.mark_online")
    host().enter(0)
    host().call(f"{TEAM}begin", len(works))
    return [member(work) for work in works]


def nothing() -> None:
    """The work of a CPU that only serves."""
