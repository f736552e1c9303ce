"""Every feature of the language gives the same answers interpreted and compiled.

The programs are in `features/`. A `test_` function computes an answer, a `trap_` function must trap, and a `calc_`
function is driven with arguments.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.language.harness import TRAP, Case, arguments, cases, compiled, interpreted

FIXED = [case for case in cases() if not case.function.startswith("calc_")]
DRIVEN = [case for case in cases() if case.function.startswith("calc_")]


@pytest.mark.parametrize("case", FIXED, ids=str)
def test_same_answer(case: Case) -> None:
    expected = interpreted(case)
    assert (expected == TRAP) == case.function.startswith("trap_"), f"interpreted: {expected}"
    assert compiled(case) == expected


@pytest.mark.parametrize("case", DRIVEN, ids=str)
def test_same_answers(case: Case) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def drive(data: st.DataObject) -> None:
        given_arguments = data.draw(arguments(case))
        assert compiled(case, *given_arguments) == interpreted(case, *given_arguments)

    drive()
