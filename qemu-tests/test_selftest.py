"""The self-tests on emulated machines: what only shows where the hypervisor runs, with several CPUs at once."""

import re
from collections.abc import Callable

import pytest

from devtools.machine import Machine
from devtools.paths import ROOT

SECONDS = 300
ENDING = re.compile(r"\(hv\) (DONE selftest [^\r\n]*|PANIC[^\r\n]*)")
EVERY = {"heap", "calls", "guard-page", "wx", "bound", "unset", "lock-rank", "timers", "log-flood", "unmap"}
OF_X86 = {"nmi"}


def powers_off(machine: Machine) -> None:
    while machine.running:
        assert machine.read(SECONDS) or not machine.running, "the machine does not power off"


@pytest.fixture
def ending(hypervisor) -> Callable[[str], tuple[str, str]]:
    """Runs self-tests by name and returns the last line and all that was printed."""

    def run(asked: str) -> tuple[str, str]:
        machine = hypervisor(f"selftest={asked}", cpus=4)
        last = machine.expect(ENDING, SECONDS)
        powers_off(machine)
        return last, machine.output

    return run


@pytest.mark.parametrize(
    "scenario",
    [
        "arm64-selftest",
        "arm64-selftest-gicv2",
        pytest.param("arm64-selftest-1cpu", marks=pytest.mark.long),
        pytest.param("arm64-selftest-8cpu", marks=pytest.mark.long),
        pytest.param("arm64-selftest-gicv2-1cpu", marks=pytest.mark.long),
        pytest.param("arm64-selftest-gicv2-8cpu", marks=pytest.mark.long),
        pytest.param("x86-selftest", marks=pytest.mark.x86),
        *(
            pytest.param(f"x86-selftest-{variant}", marks=[pytest.mark.x86, pytest.mark.long])
            for variant in ("1cpu", "8cpu", "kernel", "uefi", "disk", "disk-uefi")
        ),
        pytest.param("x86-selftest-bochs", marks=[pytest.mark.x86, pytest.mark.bochs, pytest.mark.long]),
        pytest.param("x86-selftest-x2apic", marks=[pytest.mark.x86, pytest.mark.long]),
    ],
)
def test_all_pass(booted, scenario: str) -> None:
    """On every machine that has a scenario for it; then the machine powers off."""
    machine = booted(scenario)
    assert machine.expect(ENDING, SECONDS) == "(hv) DONE selftest ok", machine.tail()
    wanted = EVERY | OF_X86 if scenario.startswith("x86") else EVERY
    assert set(re.findall(r"selftest ([\w-]+): ok", machine.output)) >= wanted
    if scenario.startswith("x86"):
        kind = "x2APICs" if scenario.endswith(("bochs", "x2apic")) else "xAPICs, reached by memory"
        assert f"the local APICs are {kind}" in machine.output
    powers_off(machine)


def test_a_name_that_is_none_is_told(ending) -> None:
    last, said = ending("bound,nonsense")
    assert last == "(hv) DONE selftest fail nonsense: there is no such self-test"
    assert "selftest bound: ok" in said
    for name in EVERY:
        assert f"(hv)   {name}\r\n" in said


def test_lines_of_a_flood_are_whole(ending) -> None:
    """However many CPUs print at once, each line is one CPU's, and none is lost."""
    last, said = ending("log-flood")
    assert last == "(hv) DONE selftest ok"
    lines = re.findall(r"\(hv\) flood (\d) line (\d+) of CPU (\d) -+\.\r\n", said)
    assert sorted(lines) == sorted((str(cpu), str(line), str(cpu)) for cpu in range(4) for line in range(50))


def test_expected_faults_are_lines_that_say_so() -> None:
    """The self-tests of faults compare places by the line behind a marker: each marker stands before the fault."""
    marked = []
    for module in ("faults", "unmap"):
        text = (ROOT / f"hv/common/selftest/{module}.py").read_text().splitlines()
        marked += [text[n + 1].strip() for n, line in enumerate(text) if "next_line_faults(code_address())" in line]
    assert len(marked) == 11
    assert all(re.search(r"\[|call\(|assert|u64\(", line) for line in marked)
