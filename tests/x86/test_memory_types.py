"""MTRRs: the type of an address, against a second reading of Intel SDM 3A, 11.11."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import host

UC, WC, WT, WP, WB = 0, 1, 4, 5, 6
TYPES = st.sampled_from([UC, WC, WT, WP, WB])
PHYSICAL = (1 << 40) - 1
ENABLED, FIXED_ENABLED = 1 << 11, 1 << 10
FIXED = [(i * 0x10000, 0x10000) for i in range(8)]
FIXED += [(0x80000 + i * 0x4000, 0x4000) for i in range(16)]
FIXED += [(0xC0000 + i * 0x1000, 0x1000) for i in range(64)]


@st.composite
def ranges(draw):
    order = draw(st.integers(12, 36))
    return draw(st.integers(0, (PHYSICAL >> order))) << order, order, draw(TYPES), draw(st.booleans())


def expected(address, default, fixed, variable):
    if not default & ENABLED:
        return UC
    if address < 1 << 20 and default & FIXED_ENABLED:
        (kind,) = [t for (start, size), t in zip(FIXED, fixed, strict=True) if start <= address < start + size]
        return kind
    found = {t for start, order, t, valid in variable if valid and start <= address < start + (1 << order)}
    if not found:
        return default & 0xFF
    if len(found) == 1:
        return found.pop()
    return WT if found == {WT, WB} else UC


@given(TYPES, st.lists(ranges(), max_size=5), st.lists(TYPES, min_size=88, max_size=88), st.booleans(), st.data())
def test_type_of_an_address(default, variable, fixed, with_fixed, data):
    mtrrs = host().cleared("hv.x86.mtrr.mtrrs")
    mtrrs.default_type = default | (ENABLED if data.draw(st.booleans()) else 0) | (FIXED_ENABLED if with_fixed else 0)
    mtrrs.has_fixed = True
    mtrrs.count = len(variable)
    for i, (start, order, kind, valid) in enumerate(variable):
        mtrrs.ranges[i].base = start | kind
        mtrrs.ranges[i].mask = (PHYSICAL & ~((1 << order) - 1)) | (ENABLED if valid else 0)
    for i in range(11):
        mtrrs.fixed[i] = int.from_bytes(bytes(fixed[i * 8 : i * 8 + 8]), "little")
    edges = [e for start, order, _, _ in variable for e in (start, start + (1 << order) - 1, start + (1 << order))]
    probes = st.sampled_from(edges or [0]) | st.integers(0, PHYSICAL) | st.integers(0, 0x10_1000)
    for address in data.draw(st.lists(probes, min_size=1, max_size=8)):
        said = host().call("hv.x86.mtrr.Mtrrs.type_of", mtrrs, address)
        assert said == expected(address, mtrrs.default_type, fixed, variable), f"{address:#x}"


@pytest.mark.parametrize("a", [UC, WC, WT, WP, WB])
@pytest.mark.parametrize("b", [UC, WC, WT, WP, WB])
def test_type_where_two_ranges_overlap(a, b):
    """Such as an uncacheable hole in a range that is written back."""
    mtrrs = host().cleared("hv.x86.mtrr.mtrrs")
    mtrrs.default_type = WB | ENABLED
    mtrrs.count = 2
    for i, (order, kind) in enumerate([(32, a), (20, b)]):
        mtrrs.ranges[i].base = kind
        mtrrs.ranges[i].mask = (PHYSICAL & ~((1 << order) - 1)) | ENABLED
    said = host().call("hv.x86.mtrr.Mtrrs.type_of", mtrrs, 0x1000)
    assert said == (a if a == b else WT if {a, b} == {WT, WB} else UC)
