"""Debian's kernels as PVH guests on AMD SVM, from a CD image: shells that answer, and ends that concern nobody else."""

import re

import pytest
from console import ANSWER_SECONDS, ask_shell, assert_well, focus

from devtools.boot import Options

pytestmark = pytest.mark.x86

BOOT_SECONDS = 180


@pytest.mark.parametrize("cpus", [4, pytest.param(2, marks=pytest.mark.long), pytest.param(1, marks=pytest.mark.long)])
def test_debian_guests_answer_and_end_alone(booted, cpus: int) -> None:
    """Each runs on two CPUs and finds its processors by ACPI. One powers off, one reboots, and the other does not
    notice; a unikernel has run beside them. One that crashes comes again, as its description wants it.
    """
    machine = booted("x86", Options(cpus=cpus))
    machine.expect_all(["READY linux1", "READY linux2", "DONE hello ok"], BOOT_SECONDS)
    for name in ("linux1", "linux2"):
        focus(machine, name)
        ask_shell(machine, name)
        machine.send("echo $(nproc) CPUs, $(ls -d /sys/devices/system/cpu/cpu*/firmware_node | wc -l) by ACPI\r")
        machine.expect("2 CPUs, 2 by ACPI", ANSWER_SECONDS)
    assert "ACPI Error" not in machine.output and "ACPI BIOS" not in machine.output

    focus(machine, "linux1")
    machine.send("poweroff -f\r")
    machine.expect(re.compile(r"\(hv\) d\d+ linux1: powered off"), BOOT_SECONDS)
    machine.expect("(hv) input to hypervisor", ANSWER_SECONDS)
    focus(machine, "linux2")
    ask_shell(machine, "linux2")

    machine.send("reboot -f\r")
    machine.expect(re.compile(r"\(hv\) d\d+ linux2: reset"), BOOT_SECONDS)
    machine.expect("READY linux2", BOOT_SECONDS)
    ask_shell(machine, "linux2")

    machine.send("echo c >/proc/sysrq-trigger\r")
    machine.expect(re.compile(r"\(hv\) d\d+ linux2: crashed, as it says itself"), BOOT_SECONDS)
    machine.expect("READY linux2", BOOT_SECONDS)
    ask_shell(machine, "linux2")
    assert machine.output.count("READY linux1\r\n") == 1, "linux1 was powered off and must not have come back"
    assert_well(machine)
