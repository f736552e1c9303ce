"""What XSETBV does in a guest, against the rules as Intel SDM 1, 13.3 and the instruction's page list them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.common.host import host

OSXSAVE = 1 << 18
X87, SSE, AVX, BOUNDS, AVX512, PT, PKRU, AMX = 1, 2, 4, 3 << 3, 7 << 5, 1 << 8, 1 << 9, 3 << 17
OFFERED = X87 | SSE | AVX | AVX512 | PKRU  # at most: what else a CPU has is kept from guests
CPUS = [X87 | SSE, X87 | SSE | AVX, OFFERED, X87 | SSE | AVX | BOUNDS | PT | PKRU, (1 << 63) - 1]
NOTHING, EXCEPTION = 7, 3
UNDEFINED, PROTECTION = 6, 13

components = st.sampled_from([0, X87, SSE, AVX, 1 << 5, 1 << 6, 1 << 7, AVX512, PKRU, BOUNDS, PT, AMX, 1 << 63])
values = st.lists(components, max_size=6).map(lambda parts: sum(set(parts)) & (1 << 64) - 1)


def goes_together(value):
    rules = [
        value & X87,
        not value & AVX or value & SSE,
        value & AVX512 in (0, AVX512),
        not value & AVX512 or value & AVX,
    ]
    return all(rules)


@pytest.mark.parametrize("has", CPUS)
@given(values)
@example(X87)
@example(X87 | SSE | AVX)
@example(OFFERED)
def test_a_value_is_taken_when_it_is_offered_and_goes_together(has, value):
    event = told(has, OSXSAVE, 0, 0, value)
    if value & ~(has & OFFERED) == 0 and goes_together(value):
        assert event.kind == NOTHING
    else:
        assert (event.kind, event.vector, event.has_error, event.error) == (EXCEPTION, PROTECTION, True, 0)


@given(st.integers(0, 3), st.integers(0, 0xFFFF_FFFF) | st.just(0), st.just(X87) | values)
def test_only_a_kernel_sets_only_the_first_register(privilege, register, value):
    """And before all that the kernel has to have turned the instruction on."""
    off = told(OFFERED, ~OSXSAVE & (1 << 64) - 1, privilege, register, value)
    assert (off.kind, off.vector, off.has_error) == (EXCEPTION, UNDEFINED, False)
    on = told(OFFERED, OSXSAVE, privilege, register, value)
    if privilege or register:
        assert (on.kind, on.vector, on.has_error, on.error) == (EXCEPTION, PROTECTION, True, 0)


@pytest.mark.parametrize("has", CPUS)
@pytest.mark.parametrize("emulated", [False, True])
def test_what_a_guest_may_enable_changes_hands(has, emulated):
    """Where it is not stopped from enabling more, all that the CPU has."""
    host().variable("hv.x86.xsave.extended_state").mask = has
    features = host().variable("hv.x86.cpuid.features")
    before, features.tcg = features.tcg, emulated
    kept = host().call("hv.x86.hvm.components.kept_components")
    features.tcg = before
    assert kept == (has if emulated else has & OFFERED)


def told(has, control, privilege, register, value):
    host().variable("hv.x86.xsave.extended_state").mask = has
    return host().call("hv.x86.hvm.components.fault_of_xsetbv", control, privilege, register, value)
