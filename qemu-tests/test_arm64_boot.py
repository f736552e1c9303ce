"""The hypervisor alone on emulated arm64 machines, as far as they differ from others: interrupt controllers, errata."""

import re
from pathlib import Path

import libfdt
import pytest

from devtools import boot, scenario
from devtools.machine import Machine

pytestmark = pytest.mark.arm64

SECONDS = 60


@pytest.mark.parametrize("cpus", [1, 4, pytest.param(8, marks=pytest.mark.long)])
def test_runs_on_a_gicv2(hypervisor, cpus) -> None:
    """All CPUs take the boot CPU's kicks, and the console's interrupt comes through."""
    machine = hypervisor(gic_version=2, cpus=cpus)
    machine.expect(f"{cpus} of {cpus} CPUs run", SECONDS)
    machine.send("h")
    machine.expect("h: lists the keys", SECONDS)
    machine.expect_silence_of("PANIC", 1)


def test_a_panic_stops_the_cpus_of_a_gicv2(hypervisor) -> None:
    machine = hypervisor("crash=assert noreboot", gic_version=2, cpus=4)
    machine.expect("(hv) PANIC on CPU 0", SECONDS)
    machine.expect("(hv) halted", SECONDS)


@pytest.mark.parametrize(
    ("cpu", "numbers"),
    [("cortex-a57", {"832075", "834220", "1319537"}), ("cortex-a53", {"843419"}), ("cortex-a76", set())],
)
def test_errata_are_told(hypervisor, cpu, numbers) -> None:
    """Those of the revisions that QEMU's CPUs have, once for all CPUs."""
    machine = hypervisor(cpu=cpu)
    machine.expect("2 of 2 CPUs run", SECONDS)
    assert sorted(re.findall(r"erratum (\d+):", machine.output)) == sorted(numbers)


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72"])
def test_a_guest_runs_with_a_workaround_that_is_asked_for(tmp_path, cpu) -> None:
    """Cleaning with invalidation keeps what was written: the kernel that was copied runs."""
    (tmp_path / "asked.toml").write_text(
        f'[scenario]\ndescription = "a unikernel"\n[machine]\ncpu = "{cpu}"\ncpus = 2\nmemory = 512\n'
        '[hypervisor]\ncommand_line = "erratum=826319"\n'
        '[[domain]]\nname = "one"\nmemory = 16\ncpus = 1\nkernel = "guest:hello"\nvpl011 = true\n'
    )
    with Machine(boot.command(scenario.load("asked", tmp_path))) as machine:
        machine.expect("erratum 826319: cache lines are invalidated when they are cleaned", SECONDS)
        machine.expect("READY hello", SECONDS)


def test_a_domain_with_more_vcpus_than_a_gicv2_serves_is_refused(tmp_path) -> None:
    """With a line that says why, whoever wrote the tree: the partition file's compiler would not. The one beside
    it runs with as many as there can be.
    """
    domain = '[[domain]]\nname = "{0}"\nmemory = 16\ncpus = {1}\nkernel = "guest:hello"\nvpl011 = true\n'
    (tmp_path / "gicv2.toml").write_text(
        '[scenario]\ndescription = "two domains"\n[machine]\ngic_version = 2\ncpus = 2\nmemory = 512\n'
        + domain.format("nine", 8)
        + domain.format("eight", 8)
    )
    command = list(boot.command(scenario.load("gicv2", tmp_path)))
    tree = command.index("-dtb") + 1
    fdt = libfdt.Fdt(Path(command[tree]).read_bytes())
    fdt.setprop_u32(fdt.path_offset("/chosen/nine"), "cpus", 9)
    command[tree] = str(tmp_path / "nine.dtb")
    Path(command[tree]).write_bytes(bytes(fdt.as_bytearray()))
    with Machine(command) as machine:
        why = 'property "cpus" is 9: a domain on this machine has 1 to 8: the domain is not built'
        machine.expect(f"(hv) nine: {why}", SECONDS)
        machine.expect("(d2 eight) READY hello", SECONDS)


def test_two_numa_nodes(hypervisor) -> None:
    """As the device tree has them, with the memory of both."""
    extra = (
        *("-object", "memory-backend-ram,id=low,size=256M", "-object", "memory-backend-ram,id=high,size=256M"),
        *("-numa", "node,nodeid=0,memdev=low,cpus=0", "-numa", "node,nodeid=1,memdev=high,cpus=1-3"),
    )
    machine = hypervisor(cpus=4, extra=extra)
    machine.expect(re.compile(r"node 0 \(proximity domain 0\): 256 MiB, CPUs 0\s"), SECONDS)
    machine.expect("memory 0x40000000 to 0x50000000", SECONDS)
    machine.expect(re.compile(r"node 1 \(proximity domain 1\): 256 MiB, CPUs 1-3\s"), SECONDS)
    machine.expect("memory 0x50000000 to 0x60000000", SECONDS)
