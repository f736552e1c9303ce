"""The hypervisor alone on emulated PCs, as far as they differ from other machines: their clocks."""

import re

import pytest

pytestmark = pytest.mark.x86

SECONDS = 60


@pytest.fixture
def arch() -> str:
    return "x86"


@pytest.mark.parametrize(("machine", "by"), [("q35", "HPET"), ("q35,hpet=off", "PM timer")])
def test_frequencies_are_measured(hypervisor, machine, by) -> None:
    """Against the best clock of known frequency that there is."""
    running = hypervisor(machine=machine)
    running.expect(re.compile(rf"TSC \d+ kHz, local APIC timer \d+ kHz, by {by}"), SECONDS)
    running.expect("2 of 2 CPUs run", SECONDS)


@pytest.mark.parametrize(("source", "said"), [("hpet", "HPET"), ("acpi", "PM timer")])
def test_other_clocks(hypervisor, source, said) -> None:
    """Where the TSC is no clock: the CPUs are started, and keys handled, by another's time."""
    machine = hypervisor(f"clocksource={source}", cpus=4)
    machine.expect(f"the clock is the {said}", SECONDS)
    machine.expect("4 of 4 CPUs run", SECONDS)
    machine.send("h")
    machine.expect("h: lists the keys", SECONDS)
