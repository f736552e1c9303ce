"""Ticks and nanoseconds, against Python's integers."""

import ctypes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.common.host import host

TIMER = "hv.arm64.timer."
SECOND = 10**9
YEARS = 300 * 365 * 86400
FARTHEST = 2**32 * SECOND

frequencies = st.sampled_from([1, 1_000_000, 19_200_000, 24_000_000, 62_500_000, 10**9, 2**32 - 1]) | st.integers(
    1, 2**32 - 1
)


def clock(frequency: int) -> None:
    host().variable(f"{TIMER}counter").frequency = frequency


@given(frequencies, st.data())
def test_ns_are_rounded_down(frequency, data):
    ticks = data.draw(st.integers(0, min(frequency * YEARS, 2**64 - 1)))
    clock(frequency)
    assert host().call(f"{TIMER}to_ns", ticks) == ticks * SECOND // frequency


@given(frequencies, st.integers(0, FARTHEST))
@example(2**32 - 1, FARTHEST)
def test_an_alarm_is_never_early_and_at_most_a_tick_late(frequency, deadline):
    clock(frequency)
    ticks = host().call(f"{TIMER}to_ticks", deadline)
    assert ticks == -(-deadline * frequency // SECOND)
    assert ticks * SECOND // frequency >= deadline


@pytest.mark.parametrize(("deadline", "control"), [(0, 1), (FARTHEST, 1), (FARTHEST + 1, 0), (2**64 - 1, 0)])
def test_alarms_beyond_reach_are_none(deadline, control):
    clock(62_500_000)
    host().call(f"{TIMER}set_alarm", deadline)
    library = host().library
    names = library.symbols["registers"]
    registers = (ctypes.c_uint64 * len(names)).in_dll(ctypes.CDLL(str(library.path)), "cx_registers")
    assert registers[names["cnthp_ctl_el2"]] == control
