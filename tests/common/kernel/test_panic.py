"""A panic's lines, and how the machine ends."""

import pytest

from tests.common.host import HALTED, KERNEL, MACHINE, RESTARTED, SAMPLES, ending, host
from tests.common.kernel.test_console import Console


@pytest.fixture
def console():
    host().cleared_per_cpu(f"{KERNEL}cpus.Cpu")
    host().cleared_per_cpu(f"{KERNEL}spinlock.HeldRanks")
    host().cleared(f"{MACHINE}machine")
    host().variable(f"{KERNEL}panic.stay_down")[0] = False
    return Console()


def test_a_panic_restarts_the_machine(console):
    status, _ = ending(lambda: host().call(f"{SAMPLES}panic_with", "all is lost"))
    assert status == RESTARTED


def test_a_panic_says_why(console):
    console.option("noreboot")
    status, said = ending(lambda: host().call(f"{SAMPLES}panic_with", "all is lost"))
    assert status == HALTED
    assert said == "(hv) PANIC on CPU 0\r\n(hv) all is lost\r\n(hv) halted\r\n"


def test_a_failed_assertion_names_file_and_line(console):
    console.option("noreboot")
    status, said = ending(lambda: host().call("hv.common.lib.span.Bytes.byte", host().bytes(b"abc"), 3))
    assert status == HALTED
    assert "(hv) hv/common/lib/span.py:" in said
    assert "access beyond the end of a view\r\n" in said


def test_a_panic_does_not_wait_for_the_console(console):
    console.option("noreboot")
    host().variable(f"{KERNEL}console.console").lock.next_ticket = 1  # somebody holds it, and is stopped
    status, said = ending(lambda: host().call(f"{SAMPLES}panic_with", "all is lost"))
    assert status == HALTED
    assert "all is lost" in said


def test_the_other_cpus_are_told_to_stop(console):
    """They take the interrupt and halt; the panic goes on without those that do not come."""
    for cpu in (0, 1):
        host().enter(cpu)
        host().call(f"{KERNEL}cpus.mark_online")
    host().enter(0)
    host().variable(f"{KERNEL}cpus.stopping")[0] = 1
    try:
        status, _ = ending(lambda: host().call(f"{KERNEL}crosscall.ipi_received"))
        assert status == HALTED
    finally:
        host().variable(f"{KERNEL}cpus.stopping")[0] = 0


def test_only_the_first_panic_prints(console):
    console.option("noreboot")
    host().variable(f"{KERNEL}panic.panicking")[0] = 1
    try:
        status, said = ending(lambda: host().call(f"{SAMPLES}panic_with", "me too"))
    finally:
        host().variable(f"{KERNEL}panic.panicking")[0] = 0
    assert (status, said) == (HALTED, "")
