"""Guests side by side on the hypervisor: that they run, that they answer, and that none can harm another."""

import re

import pytest
from console import ANSWER_SECONDS, ask_hello, ask_shell, assert_no_long_exit, assert_well, focus

from devtools import build
from devtools.boot import Options
from devtools.machine import Machine

pytestmark = pytest.mark.arm64

BOOT_SECONDS = 180
HOSTILE_SECONDS = 300
HOSTILE_END = re.compile(r"DONE (?:hostile|guest) (ok|fail[^\r\n]*)\r")
LINUX_OFF = "reboot: Power down"


@pytest.mark.parametrize(
    "scenario",
    [
        "arm64-demo",
        pytest.param("arm64-demo-max", marks=pytest.mark.long),
        pytest.param("arm64-demo-1cpu", marks=pytest.mark.long),
        pytest.param("arm64-demo-2cpu", marks=pytest.mark.long),
        pytest.param("arm64-gicv2", marks=pytest.mark.long),
    ],
)
def test_guests_answer_and_end_alone(booted, scenario: str) -> None:
    """Two Debian guests and a unikernel answer typing, one of them a pasted line that comes faster than it looks; one
    powers off, one reboots, and the others do not notice.
    """
    machine = booted(scenario)
    machine.expect_all(["READY linux1", "READY linux2", "READY hello"], BOOT_SECONDS)

    ask_shell(machine, "linux1")  # the keyboard starts at the first guest
    machine.send(f"echo {'x' * 600} | wc -c\r")
    machine.expect("601\r\n", ANSWER_SECONDS)
    focus(machine, "linux2")
    ask_shell(machine, "linux2")
    focus(machine, "hello")
    ask_hello(machine)

    focus(machine, "linux1")
    machine.send("poweroff -f\r")
    machine.expect(LINUX_OFF, BOOT_SECONDS)
    machine.expect("(hv) input to hypervisor", ANSWER_SECONDS)  # its console goes when its memory has been released
    focus(machine, "linux2")
    ask_shell(machine, "linux2")
    focus(machine, "hello")
    ask_hello(machine)

    focus(machine, "linux2")
    machine.send("reboot -f\r")
    machine.expect("READY linux2", BOOT_SECONDS)
    ask_shell(machine, "linux2")
    focus(machine, "hello")
    ask_hello(machine)
    assert machine.output.count("READY linux1\r\n") == 1, "linux1 was powered off and must not have come back"
    assert machine.output.count("READY hello\r\n") == 1, "nobody restarted hello"
    assert_well(machine)


def test_guests_with_a_gicv2_answer(booted) -> None:
    """Two Debian guests of two vCPUs each, and a unikernel: they start all their vCPUs, and take their serial port's
    interrupts."""
    machine = booted("arm64-gicv2")
    machine.expect_all(["READY linux1", "READY linux2", "READY hello"], BOOT_SECONDS)
    assert machine.output.count("smp: Brought up 1 node, 2 CPUs") == 2
    ask_shell(machine, "linux1")
    focus(machine, "hello")
    ask_hello(machine)
    assert_well(machine)


def test_each_line_names_who_printed_it(booted) -> None:
    """Guests share the serial line: each line begins with its guest's number and name, or with (hv)."""
    machine = booted("arm64-demo")
    machine.expect_all(["READY linux1", "READY linux2", "READY hello"], BOOT_SECONDS)
    for number, name in ((1, "linux1"), (2, "linux2"), (3, "hello")):
        assert f"(d{number} {name}) READY {name}" in machine.output
    focus(machine, "hypervisor")
    lines = [line for line in machine.output.splitlines() if line.strip()]
    foreign = [line for line in lines if not re.match(r"\((hv|d\d+ [a-z0-9-]+)\) ", line)]
    assert not foreign, "lines without a name: " + "\n".join(foreign[:10])


def await_hostile_end(machine: Machine, seconds: float) -> None:
    """It tells of answers that were wrong, and of what it found that was not its own."""
    end = machine.expect(HOSTILE_END, seconds)
    assert end.strip() == "DONE hostile ok", machine.tail()


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        ("arm64-hostile", 1),
        *(pytest.param("arm64-hostile", seed, marks=pytest.mark.long) for seed in range(2, 12)),
        *(pytest.param("arm64-hostile-gicv2", seed, marks=pytest.mark.long) for seed in range(1, 6)),
    ],
)
def test_hostile_guest_harms_nobody(booted, scenario: str, seed: int) -> None:
    """A unikernel that tries everything from EL1 ends its own attempts, and gets the answers that the architecture
    defines; linux1 beside it gets its sums right.
    """
    machine = booted(scenario, Options(seed=seed))
    await_hostile_end(machine, HOSTILE_SECONDS)
    machine.expect("DONE linux1 ok", HOSTILE_SECONDS)
    focus(machine, "linux1")
    ask_shell(machine, "linux1")
    assert_well(machine)


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        ("arm64-hostile-alone", 1),
        ("arm64-hostile-alone-gicv2", 1),
        *(pytest.param("arm64-hostile-alone", seed, marks=pytest.mark.long) for seed in range(2, 12)),
        *(pytest.param("arm64-hostile-alone-gicv2", seed, marks=pytest.mark.long) for seed in range(2, 12)),
    ],
)
@pytest.mark.parametrize("icount", [False, pytest.param(True, marks=pytest.mark.long)])
def test_hostile_guest_gets_right_answers(booted, scenario: str, seed: int, icount: bool) -> None:
    """From every register of its devices and its CPU; with one vCPU on one CPU."""
    machine = booted(scenario, Options(seed=seed, icount=icount))
    await_hostile_end(machine, HOSTILE_SECONDS)
    machine.expect("hostile: powered off", ANSWER_SECONDS)
    assert_well(machine)


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        ("arm64-hostile", 1),
        *(pytest.param("arm64-hostile", seed, marks=pytest.mark.long) for seed in (2, 3)),
        pytest.param("arm64-hostile-gicv2", 1, marks=pytest.mark.long),
    ],
)
def test_no_exit_takes_long_whatever_a_guest_does(booted, scenario: str, seed: int) -> None:
    """With time in instructions on one CPU: none of the hostile guest's exits, nor of the Linux that boots beside it,
    nor a step of the work that releases the hostile one's memory, takes more than 100,000 of them."""
    timed = build.build("arm64_exits")
    machine = booted(scenario, Options(seed=seed, icount=True, hypervisor=timed))
    await_hostile_end(machine, 2 * HOSTILE_SECONDS)
    machine.expect("(hv) d2 hostile: powered off", ANSWER_SECONDS)
    focus(machine, "hypervisor")
    counts = assert_no_long_exit(machine)
    assert counts["data abort"] > 1000 and counts["HVC"] > 100 and counts["interrupt"] > 100, counts
    assert_well(machine)


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        ("arm64-hostile-alone", 1),
        *(pytest.param("arm64-hostile-alone", seed, marks=pytest.mark.long) for seed in (2, 3)),
        pytest.param("arm64-hostile-alone-gicv2", 1, marks=pytest.mark.long),
    ],
)
def test_no_exit_takes_long_in_any_register(booted, scenario: str, seed: int) -> None:
    """The same of a guest that goes through all registers, and has the machine for itself."""
    machine = booted(scenario, Options(seed=seed, icount=True, hypervisor=build.build("arm64_exits")))
    await_hostile_end(machine, 2 * HOSTILE_SECONDS)
    machine.expect("(hv) input to hypervisor", ANSWER_SECONDS)
    counts = assert_no_long_exit(machine)
    assert counts["data abort"] > 10_000 and counts["access to a system register"] > 1000, counts
    assert_well(machine)
