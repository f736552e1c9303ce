"""The local APIC's timer against a model of Intel SDM 3A, 10.5.4, in the simulated machine's time."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.x86.lapic_board import DEVICE, DIVIDE, EOI, ESR, INITIAL_COUNT, IRR, ISR, LAPIC, LVT, SVR, Board

TICK = 10  # ns
SHORTEST = 10_000  # ns: a period
MASKED, PERIODIC, DEADLINE = 1 << 16, 1 << 17, 2 << 17
DIVISORS = {0: 2, 1: 4, 2: 8, 3: 16, 8: 32, 9: 64, 10: 128, 11: 1}
RECEIVE_ILLEGAL = 0x40
GHZ = 10**9
PAST = 1 << 63  # so many ticks until a deadline are behind it


class TimerMachine(RuleBasedStateMachine):
    @initialize()
    def power_on(self):
        self.board = Board()
        self.board.call("hv.x86.timer.start_clock", GHZ, GHZ, False)
        self.board.core("vcpu_up", self.board.made[0], 0, 0)
        self.board.write(0, SVR, 0x1FF)
        self.now = 0
        self.vector, self.mode, self.masked = 0, 0, True
        self.count, self.divisor = 0, 2
        self.due = None
        self.deadline = 0
        self.requested = set()
        self.illegal = False
        self.settle()

    def settle(self):
        """What has come due brings one interrupt, however often it has come."""
        self.board.settle(0)
        if self.due is None or self.due[1] > self.now:
            return
        earliest, _ = self.due
        if self.mode == PERIODIC:
            period = max(self.count * self.divisor * TICK, SHORTEST)
            rounds = (self.now - earliest) // period + 1
            self.due = (earliest + rounds * period,) * 2
        else:
            self.due, self.deadline = None, 0
        if not self.masked and self.vector < 16:
            self.illegal = True
        elif not self.masked:
            self.requested.add(self.vector)

    def timer(self, register, value):
        self.board.call(f"{DEVICE}write_timer", self.board.own(0), register, value)

    @property
    def counts(self):
        return not self.mode & DEADLINE

    @rule(
        vector=st.sampled_from([3, 0x20, 0x31, 0xFF]),
        mode=st.sampled_from([0, PERIODIC, DEADLINE, PERIODIC | DEADLINE]),
        masked=st.booleans(),
    )
    def write_vector(self, vector, mode, masked):
        counted = self.counts
        self.timer(LVT, vector | mode | masked << 16)
        self.vector, self.mode, self.masked = vector, mode, masked
        if counted != self.counts:
            self.due, self.count, self.deadline = None, 0, 0

    @rule(count=st.integers(0, 5000) | st.integers(0, 0xFFFF_FFFF))
    def write_count(self, count):
        self.timer(INITIAL_COUNT, count)
        if self.counts:
            self.count = count
            self.due = (self.now + count * self.divisor * TICK,) * 2 if count else None

    @rule(code=st.sampled_from(sorted(DIVISORS)))
    def write_divisor(self, code):
        self.timer(DIVIDE, code)
        before, self.divisor = self.divisor, DIVISORS[code]
        if self.counts and self.due is not None:
            left = self.due[0] - self.now
            self.due = (self.now + left * self.divisor // before,) * 2

    @rule(ns=st.integers(1, 100_000) | st.integers(1, 10**12))
    def set_deadline(self, ns):
        self.board.call(f"{DEVICE}set_deadline", self.board.own(0), ns + 12345, ns)
        if not self.counts:
            self.deadline = ns + 12345
            self.due = (self.now + ns, self.now + ns + (ns >> 32) + 2)

    @rule(past=st.booleans())
    def set_none_or_one_that_has_passed(self, past):
        self.board.call(f"{DEVICE}set_deadline", self.board.own(0), 77 if past else 0, PAST)
        if not self.counts:
            self.deadline = 77 if past else 0
            self.due = (self.now, self.now) if past else None
        self.settle()

    @rule(ns=st.integers(1, 1000) | st.integers(1, 10**6) | st.integers(1, 10**11))
    def time_passes(self, ns):
        if self.due is not None and self.due[0] <= self.now + ns < self.due[1]:
            ns += self.due[1] - self.due[0]  # past what is not exact
        self.board.advance(ns)
        self.now += ns
        self.settle()

    @rule()
    def time_comes(self):
        """It is not early, and not late."""
        if self.due is None:
            return
        earliest, latest = self.due
        if earliest > self.now + 1:
            self.board.advance(earliest - 1 - self.now)
            self.now = earliest - 1
            self.settle()
            self.everything_is_as_it_should()
        self.board.advance(latest - self.now)
        self.now = latest
        self.settle()

    @rule()
    def guest_takes_what_waits(self):
        while vector := self.board.call(f"{LAPIC}next_vector", self.board.apic(0)):
            assert vector == max(self.requested)
            self.board.call(f"{LAPIC}accept", self.board.apic(0), vector)
            assert self.board.bits(0, ISR) == {vector}
            self.board.write(0, EOI, 0)
            self.requested.remove(vector)
        assert not self.requested

    @invariant()
    def everything_is_as_it_should(self):
        if not hasattr(self, "board"):
            return
        assert self.board.bits(0, IRR) == self.requested
        self.board.write(0, ESR, 0)
        assert self.board.read(0, ESR) == (RECEIVE_ILLEGAL if self.illegal else 0)
        self.illegal = False
        hw = self.board.apic(0).hw
        assert (hw.tdt_msr, hw.timer_divisor) == (self.deadline, self.divisor)
        assert self.board.read(0, INITIAL_COUNT) == self.count
        shown = self.board.call(f"{DEVICE}current_count", self.board.own(0))
        if self.due is None or not self.counts:
            assert shown == 0
        else:
            left = -(-(self.due[0] - self.now) // (self.divisor * TICK))
            assert shown == min(left, self.count) > 0


TestTimer = TimerMachine.TestCase
TestTimer.settings = settings(max_examples=60, stateful_step_count=30)


@pytest.mark.parametrize("restart", [True, False])
def test_a_timer_that_ends_just_as_it_is_set_anew_does_not_ring_for_the_new_count(restart):
    """Its end may be on the way on another CPU when the lock is let go of."""
    board = Board()
    board.write(0, SVR, 0x1FF)
    own = board.own(0)
    board.call(f"{DEVICE}write_timer", own, LVT, 0x40)
    board.call(f"{DEVICE}write_timer", own, INITIAL_COUNT, 100)
    if restart:
        board.call(f"{DEVICE}write_timer", own, INITIAL_COUNT, 500)
    board.call(f"{DEVICE}expired", own, 100 * 2 * TICK)
    assert board.bits(0, IRR) == (set() if restart else {0x40})


@pytest.mark.parametrize("stop", ["off", "restart", "down"])
def test_a_timer_does_not_go_on(stop):
    """Of an APIC that is turned off or reset, and of a vCPU that is off."""
    board = Board()
    own = board.own(0)
    board.core("vcpu_up", board.made[0], 0, 0)
    board.write(0, SVR, 0x1FF)
    board.call(f"{DEVICE}write_timer", own, LVT, 0x40 | PERIODIC)
    board.call(f"{DEVICE}write_timer", own, INITIAL_COUNT, 10_000)
    if stop == "off":
        board.call(f"{DEVICE}write_base", own, board.apic(0).hw.apic_base_msr & ~(1 << 11))
    elif stop == "restart":
        assert not board.call(f"{DEVICE}restart", own)
    else:
        board.core("vcpu_down", board.made[0])
    board.advance(10**9)
    board.settle(0)
    assert not own.timer.place.queued
    assert board.bits(0, IRR) == (set() if stop != "down" else {0x40})  # that one was on its way


@given(
    frequency=st.integers(10**6, 2**33),
    reference=st.booleans(),
    ticks=st.integers(0, 2**40) | st.integers(0, 2**50),
)
def test_a_deadline_is_never_early(frequency, reference, ticks):
    """In the time stamp counter's own speed, also where another clock is used."""
    board = Board()
    board.call("hv.x86.timer.start_clock", frequency, GHZ, False)
    if reference:
        kept = board.host.variable("hv.x86.timer.clock")
        kept.to_ns, kept.reference.object = 12345, kept  # of that clock, which nobody asks here
    exact = ticks * 10**9 / frequency
    assume(exact < 2**62)
    longest = board.call("hv.x86.tsc_scale.longest_ns", ticks)
    assert longest * frequency >= ticks * 10**9
    assert longest <= exact + (ticks >> 32) + 3 + exact * 2**-50
