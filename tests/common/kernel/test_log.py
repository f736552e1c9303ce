"""The log's levels and limits, and the command line that chooses them."""

import pytest

from tests.common.host import KERNEL, MACHINE, SAMPLES, host
from tests.common.kernel.test_console import Console

ERROR, WARNING, INFO, DEBUG, GUEST = range(5)
SECOND = 1_000_000_000


@pytest.fixture
def console():
    host().cleared(f"{KERNEL}log.guest_lines")
    host().cleared(f"{MACHINE}machine")
    host().variable(f"{KERNEL}log.threshold")[0] = 3
    host().variable(f"{KERNEL}log.guest_threshold")[0] = 2
    host().variable(f"{KERNEL}panic.stay_down")[0] = False
    return Console()


def printed(level):
    host().call(f"{SAMPLES}log_line", level, "x")
    return host().printed() == "(hv) x\r\n"


def levels():
    return [printed(level) for level in (ERROR, WARNING, INFO, DEBUG)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", [True, True, True, False]),
        ("loglvl=none", [False, False, False, False]),
        ("loglvl=error", [True, False, False, False]),
        ("loglvl=warning", [True, True, False, False]),
        ("loglvl=info", [True, True, True, False]),
        ("loglvl=debug", [True, True, True, True]),
        ("loglvl=all", [True, True, True, True]),
        ("loglvl=all loglvl=error", [True, False, False, False]),
    ],
)
def test_levels(console, line, expected):
    assert console.option(line) == ""
    assert levels() == expected


def test_guests_have_a_level_of_their_own(console):
    assert printed(GUEST)
    console.option("guest_loglvl=error")
    assert not printed(GUEST)
    assert levels() == [True, True, True, False]


def advance(time):
    host().call(f"{MACHINE}advance", time)


def test_lines_that_guests_cause_are_limited(console):
    advance(10 * SECOND)
    assert [printed(GUEST) for _ in range(25)] == [True] * 20 + [False] * 5
    advance(SECOND - 1)
    assert not printed(GUEST)
    advance(1)
    host().call(f"{SAMPLES}log_line", GUEST, "again")
    assert host().printed() == "(hv) 6 lines about guests were left out\r\n(hv) again\r\n"
    assert [printed(GUEST) for _ in range(20)] == [True] * 19 + [False]
    assert printed(ERROR)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("foo", 'unknown option "foo"'),
        ("foo=bar", 'unknown option "foo"'),
        ("no-foo", 'unknown option "no-foo"'),
        ("=x", 'unknown option ""'),
        ("loglvl", 'option "loglvl" has a value that it cannot take'),
        ("loglvl=loud", 'option "loglvl=loud" has a value that it cannot take'),
        ("noreboot=maybe", 'option "noreboot=maybe" has a value that it cannot take'),
        ("no-noreboot=1", 'unknown option "no-noreboot"'),
    ],
)
def test_what_is_not_understood_is_said(console, line, said):
    assert console.option(line) == f"(hv) {said}\r\n"


def test_the_rest_of_the_line_counts(console):
    said = console.option("  foo loglvl=error  bar=1 ")
    assert said == '(hv) unknown option "foo"\r\n'  # errors alone are printed from then on
    assert levels() == [True, False, False, False]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("noreboot", True),
        ("noreboot=1", True),
        ("noreboot=off", False),
        ("noreboot no-noreboot", False),
        ("noreboot=no noreboot=enable", True),
    ],
)
def test_switches(console, line, value):
    assert console.option(line) == ""
    assert bool(host().variable(f"{KERNEL}panic.stay_down")[0]) == value
