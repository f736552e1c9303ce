"""What each kind of CPU needs against guests that train its branch predictor, by what its firmware offers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import host

PREDICTOR = "hv.arm64.predictor."
ARM, CAVIUM = 0x41, 0x43
W1, W3 = 0x8000_8000, 0x8000_3FFF
OFFERED, NOT_NEEDED, ABSENT = 0, 1, -1
SAFE = (0xD03, 0xD04, 0xD05)
DEPTHS = {0xD07: 8, 0xD08: 8, 0xD09: 0, 0xD0A: 0, 0xD0B: 24, 0xD0C: 24, 0xD0D: 24, 0xD41: 32, 0xD4D: 38, 0xD4E: 132}

answers = st.sampled_from([OFFERED, NOT_NEEDED, ABSENT])


def guard(part, isolated, third, first, implementer=ARM):
    found = host().call(f"{PREDICTOR}guard_for", implementer << 24 | part << 4, isolated, third, first)
    return found.function, found.branches, bool(found.open)


@given(st.sampled_from([*SAFE, *DEPTHS]), st.integers(0, 3), answers, answers)
def test_what_is_needed_is_done_or_told(part, isolated, third, first):
    function, branches, still_open = guard(part, isolated, third, first)
    if part in SAFE or isolated == 3 or third == NOT_NEEDED:
        assert (function, branches, still_open) == (0, 0, False)
        return
    targets = isolated >= 1 or first == NOT_NEEDED or function in (W1, W3)
    history = branches > 0 or function == W3
    assert still_open == (not targets or not history)
    assert function in ({W3} if third == OFFERED else {W1, 0}), "a function that the firmware lacks"
    assert function != W1 or first == OFFERED
    assert branches == (0 if function == W3 else DEPTHS[part])


@pytest.mark.parametrize(("implementer", "part"), [(CAVIUM, 0xD03), (CAVIUM, 0x0AF), (ARM, 0xFFF), (0, 0xD07)])
def test_unknown_cpus_get_the_most(implementer, part):
    assert guard(part, 1, ABSENT, ABSENT, implementer) == (0, 32, False)


def test_one_guard_does_for_cpus_of_two_kinds():
    kinds = [(0, 0, False), (0, 8, True), (0, 24, False), (W1, 8, False), (W3, 0, False)]
    for a, b in itertools.product(kinds, repeat=2):
        ffi = host().ffi
        one, other = (
            ffi.new("arm64_predictor_Guard *", {"function": g[0], "branches": g[1], "open": g[2]})[0] for g in (a, b)
        )
        both = host().call(f"{PREDICTOR}combined", one, other)
        assert both.branches == max(a[1], b[1]) and both.open == (a[2] or b[2])
        assert both.function == (W3 if W3 in (a[0], b[0]) else a[0] or b[0])
