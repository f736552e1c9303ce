"""The options of self-tests on the simulated machine; qemu-tests/test_selftest.py runs them."""

import pytest

from tests.common.host import host
from tests.common.kernel.test_console import Console

POWERED_OFF = 64


@pytest.fixture
def console():
    return Console()


def test_nothing_is_run_unless_asked(console):
    host().call("hv.common.selftest.suite.run_selftests")
    assert host().printed() == ""


def test_an_option_without_a_name_is_refused(console):
    assert "cannot take" in console.option("selftest=")
