"""What comes of an exception while an event is delivered (Intel SDM 3A, table 6-5; AMD APM 2, 8.2.9)."""

import pytest

from tests.common.host import host

INTERRUPT, NMI, EXCEPTION, SOFTWARE = 0, 2, 3, 4
SECOND, DOUBLE, TRIPLE = range(3)
CONTRIBUTORY = {0, 10, 11, 12, 13}


def expected(first, second):
    if first == 8:
        return TRIPLE if second in CONTRIBUTORY | {8, 14} else SECOND
    if first in CONTRIBUTORY and second in CONTRIBUTORY:
        return DOUBLE
    if first == 14 and second in CONTRIBUTORY | {14}:
        return DOUBLE
    return SECOND


@pytest.mark.parametrize("first", range(32))
def test_two_exceptions(first):
    for second in range(32):
        said = host().call("hv.sim.svm.two_events", EXCEPTION, first, second)
        assert said == expected(first, second), f"{first} then {second}"


@pytest.mark.parametrize("kind", [INTERRUPT, NMI, SOFTWARE])
def test_an_exception_on_the_way_to_anything_else_is_taken_by_itself(kind):
    for first in range(256):
        for second in (8, 13, 14):
            assert host().call("hv.sim.svm.two_events", kind, first, second) == SECOND


@pytest.mark.parametrize(("kind", "again"), [(INTERRUPT, True), (NMI, True), (EXCEPTION, True), (SOFTWARE, False)])
def test_what_was_being_delivered_is_injected_again_unless_its_instruction_is_done_again(kind, again):
    """INT3 and INTO are exceptions to SVM; behind an injection the guest would return to them and do them again."""
    for vector in range(256):
        by_instruction = kind == EXCEPTION and vector in (3, 4)
        assert host().call("hv.sim.svm.is_injected_again", kind, vector) == (again and not by_instruction), vector
