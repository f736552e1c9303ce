"""The names that a program has in C, and what comes back from a raising function."""

import pytest

from compiler import hostbuild
from tests.language.harness import library


@pytest.mark.parametrize(
    ("program", "name", "c"),
    [
        ("classes", "test_swapped", "classes_test_swapped"),
        ("classes", "classes.Domain.take", "classes_Domain_take"),
        ("generics", "generics.Stack[u8, 4].push", "generics_Stack_u8_4_push"),
        ("generics", "generics.Lock[LOW].__enter__", "generics_Lock_LOW___enter__"),
        (
            "ordered_queue",
            "hv.common.lib.ordered.OrderedQueue[Task].insert",
            "common_lib_ordered_OrderedQueue_ordered_queue_Task_insert",
        ),
        ("assembly", "entered_from_assembly", "entered_from_assembly"),
    ],
)
def test_functions(program: str, name: str, c: str) -> None:
    assert library(program).function(name)[1]["c"] == c


def test_variables_and_classes() -> None:
    symbols = library("module_names").symbols
    assert symbols["variables"]["module_names.online"]["c"] == "module_names_online"
    assert symbols["classes"]["module_names.Heap"] == "module_names_Heap"


def test_raising_functions_return_value_and_error() -> None:
    errors = library("errors")
    assert errors.call("propagated", 1, 2) == 103
    with pytest.raises(hostbuild.Raised) as raised:
        errors.call("propagated", 1, 0)
    assert raised.value.code == 22
    result = errors.lib.errors_propagated(11, 1)
    assert (result.error, errors.ffi.typeof(result).kind) == (12, "struct")
    assert errors.lib.errors_nothing(True) == 3
