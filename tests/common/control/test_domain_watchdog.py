"""Watchdogs of domains: numbers and errors as Xen's, what runs out and when, and what becomes of the domain."""

from __future__ import annotations

import struct

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.common.builder.test_lifecycle import check_memory, machine_with, work_off
from tests.common.comm.guest import ARGUMENT, EEXIST, EFAULT, EINVAL, SCHED_OP, Guest
from tests.common.guests import BUILDER, REBOOT, SHUT_DOWN, UP, Machine

WATCHDOG = 6  # SCHEDOP_watchdog
RAN_OUT = 4  # SHUTDOWN_watchdog
SHUTDOWN = 2
SECOND = 1_000_000_000
NUMBERS = 2
NOWHERE = 0x7F_0000_0000


def running(machine: Machine, id: int = 1, vcpus: int = 1) -> Guest:
    guest = Guest(machine, id, vcpus)
    guest.domain.state = UP
    return guest


def set_watchdog(guest: Guest, id: int, timeout: int, vcpu: int = 0) -> int:
    guest.put(struct.pack("<2I", id, timeout))
    return guest.call(SCHED_OP, WATCHDOG, ARGUMENT, vcpu=vcpu)


@pytest.mark.parametrize("narrow", [False, True])
def test_numbers_and_errors(narrow: bool) -> None:
    guest = running(Machine(1).with_heap().start_scheduling())
    guest.simulated(0).narrow = narrow
    for id in (1, 2, 3, 2**31, 2**32 - 1):
        for timeout in (0, 5):
            assert set_watchdog(guest, id, timeout) == -EINVAL, "there is none yet"
    assert [set_watchdog(guest, 0, 2**32 - 1) for _ in range(4)] == [1, 2, -EEXIST, -EEXIST]
    assert [set_watchdog(guest, id, 7) for id in (1, 2, 3)] == [0, 0, -EINVAL]
    assert [set_watchdog(guest, 1, 0) for _ in range(2)] == [0, -EINVAL]
    assert [set_watchdog(guest, 0, 9) for _ in range(2)] == [1, -EEXIST]
    assert guest.call(SCHED_OP, WATCHDOG, NOWHERE) == -EFAULT


def test_a_guest_says_itself_that_its_watchdog_ran_out() -> None:
    guest = running(Machine(1).with_heap().start_scheduling())
    guest.put(struct.pack("<I", RAN_OUT + 1))
    assert guest.call(SCHED_OP, SHUTDOWN, ARGUMENT) == -EINVAL
    guest.put(struct.pack("<I", RAN_OUT))
    assert guest.call(SCHED_OP, SHUTDOWN, ARGUMENT) == 0
    assert (guest.domain.state, guest.domain.reason) == (SHUT_DOWN, RAN_OUT)


class Watchdogs(RuleBasedStateMachine):
    """Two domains that begin, pat and end watchdogs on two CPUs, against deadlines by number. A domain is shut down
    when the first of its deadlines has come, and neither before nor without one; paused, too.
    """

    @initialize()
    def power_on(self) -> None:
        self.machine = Machine(2).with_heap().start_scheduling()
        self.guests = [running(self.machine, id, 2) for id in (1, 2)]
        self.deadlines: list[dict[int, int]] = [{}, {}]
        self.clock = 0
        self.over = [False, False]

    def look(self) -> None:
        """All CPUs take what is due."""
        self.machine.settle_all(2)
        for i, deadlines in enumerate(self.deadlines):
            self.over[i] = self.over[i] or any(deadline <= self.clock for deadline in deadlines.values())

    @rule(
        who=st.integers(0, 1),
        cpu=st.integers(0, 1),
        vcpu=st.integers(0, 1),
        id=st.integers(0, NUMBERS + 1),
        timeout=st.integers(0, 4),
    )
    def set(self, who: int, cpu: int, vcpu: int, id: int, timeout: int) -> None:
        if self.over[who]:
            return
        deadlines = self.deadlines[who]
        expected = 0
        if id == 0:
            expected = next((n for n in range(1, NUMBERS + 1) if n not in deadlines), -EEXIST)
        elif id not in deadlines:
            expected = -EINVAL
        if expected >= 0:
            number = id or expected
            deadlines[number] = self.clock + timeout * SECOND
            if id and timeout == 0:
                del deadlines[number]
        self.machine.enter(cpu)
        assert set_watchdog(self.guests[who], id, timeout, vcpu) == expected
        self.look()

    @rule(ns=st.sampled_from([1, SECOND // 2, SECOND - 1, SECOND, 3 * SECOND]))
    def advance(self, ns: int) -> None:
        self.machine.advance(ns)
        self.clock += ns
        self.look()

    @rule(who=st.integers(0, 1), cpu=st.integers(0, 1))
    def pat_in_the_last_moment(self, who: int, cpu: int) -> None:
        """Its time has come, but the timer has not been looked at when the guest pats it."""
        deadlines = self.deadlines[who]
        if self.over[who] or len(deadlines) != 1:
            return
        ((id, deadline),) = deadlines.items()
        if any(other <= deadline for others in self.deadlines if others is not deadlines for other in others.values()):
            return
        self.machine.advance(deadline - self.clock)
        self.clock = deadline
        self.machine.enter(cpu)
        assert set_watchdog(self.guests[who], id, 1) == 0
        deadlines[id] = self.clock + SECOND
        self.look()

    @precondition(lambda self: not self.over[0])
    @rule()
    def pause_and_go_on(self) -> None:
        self.machine.enter(0)
        self.machine.core("pause_domain", self.guests[0].domain)
        self.advance(SECOND)
        self.machine.core("unpause_domain", self.guests[0].domain)
        self.look()

    @invariant()
    def each_is_up_until_then(self) -> None:
        for guest, over in zip(self.guests, self.over, strict=True):
            state, reason = guest.domain.state, guest.domain.reason
            assert (state, reason) == (SHUT_DOWN, RAN_OUT) if over else state == UP


TestWatchdogs = Watchdogs.TestCase
TestWatchdogs.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize(("then", "over"), [(None, True), (5, False), (0, False)])
def test_it_is_patted_or_ended_while_its_time_is_up(then: int | None, over: bool) -> None:
    """The timer has been taken off its queue, and its owner is about to be told, when the guest calls."""
    machine = Machine(1).with_heap().start_scheduling()
    guest = running(machine)
    assert set_watchdog(guest, 0, 3) == 1
    machine.advance(3 * SECOND)
    now = machine.call("hv.sim.arch.now")
    timers = machine.host.per_cpu(0, "hv.common.kernel.timer.Timers")
    timer = machine.call("hv.common.kernel.timer.Timers.next_expired", timers, now)
    watchdog = machine.ffi.addressof(guest.domain, "common_control_domain_watchdog_Watchdogs").table[0]
    assert timer == machine.ffi.addressof(watchdog, "timer")
    if then is not None:
        assert set_watchdog(guest, 1, then) == 0
    machine.call("control.domain_watchdog.Watchdog.expired", machine.ffi.addressof(watchdog), now)
    assert (guest.domain.state == SHUT_DOWN) == over


# What becomes of the domain


def booted(policy: bool | None = None) -> tuple[Machine, object]:
    """A domain that has run for two seconds, and what it is described by."""
    machine = machine_with([("a", 8, 1), ("b", 8, 1)])
    description = machine.host.variable("hv.common.builder.description.descriptions").table[0]
    if policy is not None:
        description.restarts_on_watchdog = policy
    machine.settle_all()
    machine.advance(2 * SECOND)
    return machine, description


def begin(machine: Machine, seconds: int) -> None:
    machine.enter(1)
    watchdogs = machine.ffi.addressof(machine.domain(1), "common_control_domain_watchdog_Watchdogs")
    assert machine.call("control.domain_watchdog.Watchdogs.set", watchdogs, 0, seconds) == 1


def run_out(machine: Machine, seconds: int) -> None:
    """The time passes, and what follows from it is done."""
    machine.advance(seconds * SECOND)
    machine.settle_all()
    work_off(machine, 1)


def test_the_domain_is_built_anew_and_has_no_watchdog() -> None:
    """Its memory is as at first, and the other domain has not noticed."""
    machine, description = booted()
    assert description.restarts_on_watchdog, "it is so unless the description says otherwise"
    other = machine.domain(2)
    for _ in range(2):
        frame = machine.call("hv.common.mm.p2m.P2m.lookup", machine.p2m(machine.domain(1)), 0x40300)
        machine.put(frame.mfn << 12, b"written by the guest")
        begin(machine, 3)
        run_out(machine, 3)
        assert machine.lines() == ["(hv) d1 a: its watchdog ran out"]
        assert machine.domain(1).state == UP
        check_memory(machine, machine.domain(1), 8)
        run_out(machine, 60)
        assert machine.domain(1).state == UP and machine.lines() == []
    assert machine.domain(2) == other and other.state == UP


def test_the_domain_is_gone_where_that_is_wanted() -> None:
    machine, _ = booted(policy=False)
    begin(machine, 3)
    run_out(machine, 3)
    assert machine.lines() == ["(hv) d1 a: its watchdog ran out"]
    assert machine.domain(1) is None and machine.domain(2).state == UP


def test_a_domain_that_runs_out_at_once_is_not_built_without_end() -> None:
    machine, _ = booted()
    begin(machine, 0)
    run_out(machine, 0)
    assert machine.domain(1).state == UP
    machine.settle_all()
    machine.lines()
    begin(machine, 0)
    run_out(machine, 0)
    assert machine.lines() == [
        "(hv) d1 a: its watchdog ran out",
        "(hv) a: its watchdog ran out within a second: the domain is not built again",
    ]
    assert machine.domain(1) is None


def test_a_domain_that_goes_leaves_no_watchdog_behind() -> None:
    """The one that is built in its place runs on when the time has come."""
    machine, _ = booted()
    begin(machine, 30)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", machine.domain(1), REBOOT)
    work_off(machine, 1)
    machine.reclaim()
    run_out(machine, 60)
    assert machine.lines() == ["(hv) d1 a: reset"] and machine.domain(1).state == UP
