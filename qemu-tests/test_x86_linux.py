"""Debian's kernels as PVH guests on AMD SVM, from a CD image: shells that answer, and ends that concern nobody else."""

import re
from pathlib import Path

import pytest
from console import ANSWER_SECONDS, ask_hello, ask_shell, assert_well, focus

from devtools.boot import Options
from devtools.paths import SCENARIOS

pytestmark = pytest.mark.x86

BOOT_SECONDS = 180
SUM_SECONDS = 600


@pytest.mark.parametrize(
    ("scenario", "cpus", "firmware"),
    [
        ("x86", 4, "bios"),
        *(pytest.param("x86", cpus, "bios", marks=pytest.mark.long) for cpus in (2, 1)),
        *(pytest.param("x86", cpus, "uefi", marks=pytest.mark.long) for cpus in (4, 2, 1)),
        *(pytest.param("x86-x2apic", 4, firmware, marks=pytest.mark.long) for firmware in ("bios", "uefi")),
    ],
)
def test_debian_guests_answer_and_end_alone(booted, scenario: str, cpus: int, firmware: str) -> None:
    """Each runs on two CPUs, finds them by ACPI, and takes one off and on again. One powers off, one reboots, and the
    other does not notice, nor does a unikernel that answers. One that crashes comes again, as its description wants it.
    """
    machine = booted(scenario, Options(cpus=cpus, firmware=firmware))
    machine.expect("the local APICs are xAPICs" if scenario == "x86" else "the local APICs are x2APICs", BOOT_SECONDS)
    machine.expect_all(["READY linux1", "READY linux2", "READY hello"], BOOT_SECONDS)
    for name in ("linux1", "linux2"):
        focus(machine, name)
        ask_shell(machine, name)
        machine.send("echo $(nproc) CPUs, $(ls -d /sys/devices/system/cpu/cpu*/firmware_node | wc -l) by ACPI\r")
        machine.expect("2 CPUs, 2 by ACPI", ANSWER_SECONDS)
        machine.send("for i in 0 1 0 1 0 1; do echo $i >/sys/devices/system/cpu/cpu1/online; done\r")
        machine.send("echo $(nproc) CPUs, $(dmesg | grep -c 'CPU 1 is now offline') times fewer\r")
        machine.expect("2 CPUs, 3 times fewer", ANSWER_SECONDS)
    focus(machine, "hello")
    ask_hello(machine)
    assert "ACPI Error" not in machine.output and "ACPI BIOS" not in machine.output

    focus(machine, "linux1")
    machine.send("poweroff -f\r")
    machine.expect(re.compile(r"\(hv\) d\d+ linux1: powered off"), BOOT_SECONDS)
    machine.expect("(hv) input to hypervisor", ANSWER_SECONDS)
    focus(machine, "hello")
    ask_hello(machine)
    focus(machine, "linux2")
    ask_shell(machine, "linux2")

    machine.send("reboot -f\r")
    machine.expect(re.compile(r"\(hv\) d\d+ linux2: reset"), BOOT_SECONDS)
    machine.expect("READY linux2", BOOT_SECONDS)
    ask_shell(machine, "linux2")
    focus(machine, "hello")
    ask_hello(machine)
    focus(machine, "linux2")

    machine.send("echo c >/proc/sysrq-trigger\r")
    machine.expect(re.compile(r"\(hv\) d\d+ linux2: crashed, as it says itself"), BOOT_SECONDS)
    machine.expect("READY linux2", BOOT_SECONDS)
    ask_shell(machine, "linux2")
    assert machine.output.count("READY linux1\r\n") == 1, "linux1 was powered off and must not have come back"
    focus(machine, "hello")
    machine.send("powerof\b\x7foff\r")
    machine.expect(re.compile(r"\(hv\) d\d+ hello: powered off"), ANSWER_SECONDS)
    assert machine.output.count("READY hello\r\n") == 1, "nobody restarted hello"
    assert_well(machine)


@pytest.mark.parametrize(("mib", "firmware"), [(64, "bios"), pytest.param(512, "uefi", marks=pytest.mark.long)])
def test_four_cpus_on_two_sum_rightly(booted, tmp_path: Path, mib: int, firmware: str) -> None:
    """Four processes sum a part each of data that lies in the guest's memory; the sums are known from elsewhere."""
    whole = (SCENARIOS / "x86-sums.toml").read_text()
    (tmp_path / "sums.toml").write_text(whole.replace("mib=512", f"mib={mib}"))
    machine = booted("sums", Options(firmware=firmware), tmp_path)
    machine.expect("3 of 3 CPUs run", BOOT_SECONDS)
    machine.expect("CPU 0 runs no guests", BOOT_SECONDS)
    machine.expect(re.compile(r"DONE sums (ok|fail[^\r\n]*)\r"), SUM_SECONDS)
    assert "DONE sums ok" in machine.output, machine.tail()
    machine.send("echo $(nproc) CPUs took part\r")
    machine.expect("4 CPUs took part", ANSWER_SECONDS)
    machine.send("echo $(cat /sys/devices/system/cpu/cpu*/topology/package_cpus_list | uniq) in one package\r")
    machine.expect("0-3 in one package", ANSWER_SECONDS)
    assert_well(machine)
