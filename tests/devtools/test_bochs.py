"""Bochs: its configuration, and the serial port of its machine on our pipes. A script stands in for Bochs."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest

from devtools import bochs, bochs_console, qemu
from devtools.machine import Machine as Process
from devtools.scenario import Machine

PC = Machine(arch="x86", machine="q35", cpu="corei7_skylake_x", cpus=2, memory=512, boot="iso", emulator="bochs")
SECONDS = 20

PRETENDER = """\
#!{python}
import re, sys, tty
settings = open(sys.argv[sys.argv.index("-f") + 1]).read()
commands = open(sys.argv[sys.argv.index("-rc") + 1]).read()
with open(re.search("dev=(.*)", settings)[1], "r+b", buffering=0) as line:
    line.write(b"(hv) boots\\r\\n" if commands == "c\\n" else b"waits in the debugger")
    typed = line.read(5)
    line.write(b"typed " + typed + b"\\r\\n")
if typed == b"wrong":
    with open(sys.argv[sys.argv.index("-log") + 1], "w") as log:
        log.write("00000000012i[CPU0  ] fine\\n00000000099p[ACPI  ] >>PANIC<< soft power off\\n")
    sys.exit(3)
"""


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command of a machine whose bochs-bin is the script above."""
    program = tmp_path / "bin" / "bochs-bin"
    program.parent.mkdir()
    program.write_text(PRETENDER.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(bochs, "BUILD", tmp_path)
    return bochs.command(PC, qemu.Payload(medium=Path("hv.iso")), "name")


def test_the_configuration_is_the_machines() -> None:
    settings = bochs.settings(PC, qemu.Payload(medium=Path("hv.iso"))).splitlines()
    assert "ata0-master: type=cdrom, path=hv.iso, status=inserted" in settings
    assert "boot: cdrom" in settings
    assert "memory: guest=512, host=512" in settings
    (cpu,) = [line for line in settings if line.startswith("cpu: ")]
    assert {"cpu: model=corei7_skylake_x", "count=2", "reset_on_triple_fault=0"} <= set(cpu.split(", "))
    disk = bochs.settings(dataclasses.replace(PC, boot="disk"), qemu.Payload(medium=Path("hv.disk")))
    assert "type=disk, mode=volatile, path=hv.disk, journal={folder}/written" in disk


def test_the_serial_port_goes_both_ways(pretended: list[str]) -> None:
    with Process(pretended) as machine:
        machine.expect("(hv) boots", SECONDS)
        machine.send("hello")
        machine.expect("typed hello", SECONDS)
        while machine.running:
            assert machine.read(SECONDS) or not machine.running
        assert machine.process is not None and machine.process.returncode == 0


def test_what_bochs_complains_of_is_told(pretended: list[str]) -> None:
    with Process(pretended) as machine:
        machine.expect("(hv) boots", SECONDS)
        machine.send("wrong")
        machine.expect("bochs: 00000000099p[ACPI  ] >>PANIC<< soft power off", SECONDS)
        assert "fine" not in machine.output


def test_no_complaint_is_told_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bochs_console.complain(tmp_path / "no-log")
    assert capsys.readouterr().out == "bochs: ended without a reason in its log\n"
