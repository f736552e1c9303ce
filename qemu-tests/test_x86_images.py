"""The media of `./dev image` start the hypervisor on emulated PCs: from CD and disk, under BIOS and UEFI.

Each boot reaches the hypervisor's first line with the command line of the menu, and all CPUs.
"""

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from devtools import boot, qemu, scenario
from devtools.machine import Machine
from devtools.paths import BUILD, ROOT

pytestmark = pytest.mark.x86

BOOT_SECONDS = 180


def starts(machine: Machine, cpus: int, way: str) -> None:
    first = machine.expect(re.compile(r"\(hv\) [^\r\n]+\r"), BOOT_SECONDS)
    assert first.startswith("(hv) Constrictor") and way in first
    machine.expect(f"{cpus} of {cpus} CPUs run", BOOT_SECONDS)
    assert "PANIC" not in machine.output, machine.tail()


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("x86-selftest", "Multiboot2"),
        ("x86-selftest-uefi", "Multiboot2"),
        ("x86-selftest-kernel", "PVH"),
        ("x86-selftest-disk", "Multiboot2"),
        pytest.param("x86-selftest-disk-uefi", "Multiboot2", marks=pytest.mark.long),
        pytest.param("x86-selftest-1cpu", "Multiboot2", marks=pytest.mark.long),
        pytest.param("x86-selftest-8cpu", "Multiboot2", marks=pytest.mark.long),
        pytest.param("x86-selftest-bochs", "Multiboot2", marks=pytest.mark.bochs),
    ],
)
def test_starts(booted, name: str, way: str) -> None:
    starts(booted(name), scenario.load(name).machine.cpus, way)


@pytest.mark.parametrize("firmware", ["bios", pytest.param("uefi", marks=pytest.mark.long)])
def test_a_cd_image_starts_from_a_usb_stick(booted, firmware: str, tmp_path) -> None:
    """The whole image on a disk, as `dd` writes it. The menu waits; its first entry has the options of --cmdline."""
    stick = tmp_path / "stick"
    command = [ROOT / "dev", "image", "--iso", "--cmdline", "of-the-menu", "--out", stick]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == f"{stick}\n"
    words = boot.command(scenario.load("x86-selftest-disk" + ("-uefi" if firmware == "uefi" else "")))
    words = [re.sub(r"file=[^,]*\.disk$", f"file={stick}", word) for word in words]
    with Machine(words, BUILD / "serial" / f"stick-{firmware}.log") as machine:
        machine.expect('unknown option "of-the-menu"', BOOT_SECONDS)
        machine.expect("4 of 4 CPUs run", BOOT_SECONDS)


SET = """
[[domain]]
name = "{name}"
memory = 16
cpus = 1
kernel = "guest:pvh"
bootargs = "from={name}"
"""
DOWN = "\x0e"  # Ctrl-N, as in Emacs: arrows are several bytes, which GRUB tells from Escape by their time


@pytest.mark.parametrize(
    ("kind", "firmware"),
    [
        ("iso", "bios"),
        ("disk", "bios"),
        *(pytest.param(kind, "uefi", marks=pytest.mark.long) for kind in ("iso", "disk")),
    ],
)
def test_a_menu_of_sets_starts_the_one_that_is_chosen(kind: str, firmware: str, tmp_path: Path) -> None:
    """By keys on the serial line the second of three, and without a key the third, which is the default."""
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.toml").write_text(SET.format(name=name))
    medium = tmp_path / "medium"
    chosen = scenario.load("x86-pvh")
    hardware = dataclasses.replace(chosen.machine, boot=kind, firmware=firmware)
    words = qemu.command(hardware, qemu.Payload(medium=medium))

    def made(*options: str) -> None:
        sets = [tmp_path / f"{name}.toml" for name in ("one", "two", "three")]
        subprocess.run([ROOT / "dev", "image", f"--{kind}", *sets, "--out", medium, *options], check=True)

    made("--timeout", "1000")
    with Machine(words, BUILD / "serial" / f"chosen-{kind}-{firmware}.log") as machine:
        machine.expect("self-tests", BOOT_SECONDS)
        machine.send(DOWN + "\r")
        machine.expect("command line <from=two>", BOOT_SECONDS)
        machine.expect("(hv) d1 two: powered off", BOOT_SECONDS)
        assert "from=one" not in machine.output and "from=three" not in machine.output

    made("--timeout", "0", "--default", "three")
    with Machine(words, BUILD / "serial" / f"default-{kind}-{firmware}.log") as machine:
        machine.expect("command line <from=three>", BOOT_SECONDS)
        machine.expect("(hv) d1 three: powered off", BOOT_SECONDS)
