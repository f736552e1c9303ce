"""A partition file as its reader uses it: checked, compiled by the command for QEMU, and booted by the words that the
command prints; what it gives its domains, they have."""

import shlex
from pathlib import Path

import pytest
from console import ask_hello, assert_well, focus

from devtools import build, qemu
from devtools.machine import Machine
from devtools.scenario import Machine as Hardware
from tools.partition.__main__ import main

pytestmark = pytest.mark.arm64

SECONDS = 120
FILE = Path(__file__).parent / "partitions" / "virt.toml"
COUNT = 20_000
RINGS = 400


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """QEMU's, with the words of `partition build --format qemu`."""
    hypervisor = build.build("arm64_virt")
    hardware = Hardware(cpus=2, memory=1024)
    base = tmp_path / "base.dtb"
    base.write_bytes(qemu.base_tree(hardware))
    common = [str(FILE), "--base", str(base), "--files", str(hypervisor.parent / "qemu-tests" / "guests")]
    assert main(["check", *common]) == 0
    capsys.readouterr()
    assert main(["build", *common, "-o", str(tmp_path / "machine.dtb"), "--format", "qemu"]) == 0
    return [*qemu.command(hardware, qemu.Payload(hypervisor)), *shlex.split(capsys.readouterr().out)]


def test_domains_have_what_the_file_gives_them(command: list[str]) -> None:
    """A stream through shared memory arrives in order and right, though its writer, which owns the memory, crashes in
    the middle and is built anew; the reader, whose memory lies in two places that are set aside, is not started again.
    A guest takes each interrupt of the clock that is its own, also in its second life. The keyboard is at the guest
    that the file says, and vCPUs are on the CPUs that it names.
    """
    with Machine(command) as machine:
        machine.expect("(hv) the heap is static: 64 MiB", SECONDS)
        machine.expect_all(["READY writer, life 1, at number 0", "READY reader, at number 0", "READY hello"], SECONDS)
        ask_hello(machine)
        lives = [
            "(hv) d1 writer: crashed, as it says itself",
            f"(d1 writer) READY writer, life 2, at number {COUNT // 2}",
            "(d1 writer) DONE writer ok",
            f"(d2 reader) DONE reader ok {COUNT} numbers",
            "(hv) d3 clock: reset",
            "(d3 clock) AGAIN rtc",
            "(d3 clock) DONE rtc ok",
            "(hv) d3 clock: powered off",
        ]
        machine.expect_all(lives, SECONDS)
        assert machine.output.count("READY reader") == 1
        assert machine.output.count(f"(d3 clock) RINGS {RINGS} of {RINGS}") == 2
        ask_hello(machine)
        focus(machine, "hypervisor")
        machine.send("q")
        for vcpu in ("vCPU 0: BLOCKED on CPU 0 of 0", "vCPU 1: down on CPU 1 of 1"):
            machine.expect(vcpu, SECONDS)
        assert_well(machine)
