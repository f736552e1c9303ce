"""The date: what is set is what is read, whatever the machine's own time was; dates against Python's calendar."""

import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.common.cpus import in_turns
from tests.common.host import EINVAL, KERNEL, LIB, host

SECOND = 10**9
EPOCH = datetime.datetime(1970, 1, 1)
LAST = 253402300799  # 9999-12-31 23:59:59


@pytest.fixture(autouse=True)
def power_on():
    host().cleared("hv.sim.machine.machine")
    host().cleared(f"{KERNEL}wallclock.wall_clock")


def clock():
    return host().variable(f"{KERNEL}wallclock.wall_clock")


def set_to(seconds, ns):
    instant = host().ffi.new("common_kernel_wallclock_Instant *", (seconds, ns))[0]
    host().call(f"{KERNEL}wallclock.WallClock.set", clock(), instant)


def read():
    found = host().call(f"{KERNEL}wallclock.WallClock.read", clock())
    return found.seconds * SECOND + found.ns


@given(
    before=st.integers(0, 10**18),
    seconds=st.integers(0, LAST),
    ns=st.integers(0, SECOND - 1),
    on=st.integers(0, 10**18),
)
def test_the_date_goes_on_with_the_machines_time(before, seconds, ns, on):
    host().cleared("hv.sim.machine.machine")
    host().call("hv.sim.machine.advance", before)
    set_to(seconds, ns)
    assert read() == seconds * SECOND + ns
    host().call("hv.sim.machine.advance", on)
    assert read() == seconds * SECOND + ns + on
    assert clock().ns < SECOND, "as Xen's guests expect it"


def test_the_version_tells_that_it_was_set():
    assert not host().call(f"{KERNEL}wallclock.WallClock.is_set", clock())
    versions = []
    for seconds in (1, 2, 3):
        set_to(seconds, 0)
        versions.append(clock().version)
    assert versions == [2, 4, 6]


@given(seed=st.integers(0, 2**32 - 1))
def test_who_reads_meanwhile_reads_one_of_both_dates(seed):
    """No reader sees the seconds of one date with the nanoseconds of the other."""
    host().cleared("hv.sim.machine.machine")
    host().cleared(f"{KERNEL}wallclock.wall_clock")
    dates = [(1000, 1), (2000, 999_999_999)]
    set_to(*dates[0])
    seen = []

    def sets():
        for i in range(4):
            set_to(*dates[(i + 1) % 2])

    def reads():
        for _ in range(4):
            base = host().call(f"{KERNEL}wallclock.WallClock.base", clock())
            seen.append((base.seconds, base.ns))

    in_turns(seed, sets, reads, tick=0)
    assert set(seen) <= set(dates)


@given(seconds=st.integers(0, LAST))
@example(seconds=951782400 - 1)  # the last second of 2000-02-28
@example(seconds=951868799)
@example(seconds=LAST)
def test_dates(seconds):
    found = host().call(f"{LIB}calendar.date_at", seconds)
    date = EPOCH + datetime.timedelta(seconds=seconds)
    assert (found.year, found.month, found.day) == (date.year, date.month, date.day)
    assert (found.hour, found.minute, found.second) == (date.hour, date.minute, date.second)
    assert host().call(f"{LIB}calendar.seconds_since_1970", found) == seconds


@pytest.mark.parametrize("seconds", [LAST + 1, 2**63, 2**64 - 1])
def test_no_date_after_the_year_9999(seconds):
    assert host().errno(f"{LIB}calendar.date_at", seconds) == EINVAL


def test_the_log_tells_the_date():
    host().call("hv.sim.console.attach")
    host().printed()
    host().call(f"{KERNEL}wallclock.set_date", 1767225599)
    assert "it is 2025-12-31 23:59:59 UTC by the machine's clock" in host().printed()
