"""The hypervisor alone on emulated PCs, as far as they differ from other machines: their clocks."""

import re
import socket

import places
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


def test_an_nmi_that_nobody_sent(hypervisor, tmp_path) -> None:
    """As from a button on the machine: it comes to all CPUs, and one tells of it."""
    monitor = tmp_path / "monitor"
    machine = hypervisor(
        "noreboot", extra=("-chardev", f"socket,id=nmi,path={monitor},server=on,wait=off", "-mon", "nmi")
    )
    machine.expect("2 of 2 CPUs run", SECONDS)
    with socket.socket(socket.AF_UNIX) as to:
        to.connect(str(monitor))
        to.sendall(b"nmi\n")
        panic = places.panic_of(machine, SECONDS)
    assert re.fullmatch(
        r"NMI: nobody sent it, and the hardware reports nothing, port 0x61 reads 0x[0-3][0-9a-f]", panic.reason
    )
    assert "does not stop" not in machine.output


TWO_NODES = (
    *("-object", "memory-backend-ram,id=low,size=256M", "-object", "memory-backend-ram,id=high,size=256M"),
    *("-numa", "node,nodeid=0,memdev=low,cpus=0,cpus=2", "-numa", "node,nodeid=1,memdev=high,cpus=1,cpus=3"),
)


def test_two_numa_nodes(hypervisor) -> None:
    """What SRAT says of memory and CPUs is told; the heap has both nodes' memory, and a self-test uses it up."""
    machine = hypervisor("selftest=heap", cpus=4, extra=TWO_NODES)
    machine.expect(re.compile(r"node 0 \(proximity domain 0\): 255 MiB, CPUs 0,2\s"), SECONDS)
    machine.expect("memory 0x100000 to 0x10000000", SECONDS)
    machine.expect(re.compile(r"node 1 \(proximity domain 1\): 255 MiB, CPUs 1,3\s"), SECONDS)
    machine.expect(re.compile(r"memory 0x10000000 to 0x1f\w+"), SECONDS)
    machine.expect("DONE selftest ok", SECONDS)


def test_numa_off(hypervisor) -> None:
    machine = hypervisor("numa=off", cpus=4, extra=TWO_NODES)
    machine.expect("4 of 4 CPUs run", SECONDS)
    machine.send("u")
    machine.expect("node 0: 511 MiB, CPUs 0-3", SECONDS)
    machine.expect("frames are free", SECONDS)
    assert "node 1" not in machine.output
