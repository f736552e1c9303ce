"""Guests that have their memory where the machine has it, and with it interrupt controller and UART."""

import re
from pathlib import Path

import pytest
from console import ask_hello, ask_shell, assert_well, focus

from devtools.machine import Machine

pytestmark = pytest.mark.arm64

SECONDS = 60
BOOT_SECONDS = 300
DOMAINS = """
[[domain]]
name = "linux1"
static_memory = [{{ at = {at:#x}, size = "256M" }}]
direct_map = true
cpus = 2
kernel = "debian"
ramdisk = "busybox"
bootargs = "console=ttyAMA0 domain=linux1"

[[domain]]
name = "hello"
memory = 16
cpus = 1
kernel = "guest:hello"
"""
VIRT = "[machine]\ncpus = 4\nmemory = 1024\ngic_version = {}\n"
ZCU102 = (
    '[machine]\nmachine = "xlnx-zcu102"\ncpu = "cortex-a53"\ncpus = 4\nmemory = 2048\n[hypervisor]\ncommand_line = ""\n'
)
MACHINES = {  # where memory, distributor and UART are, and the UART's interrupt
    "gicv3": (VIRT.format(3), 0x6000_0000, 0x800_0000, 0x900_0000, 33),
    "gicv2": (VIRT.format(2), 0x6000_0000, 0x800_0000, 0x900_0000, 33),
    "zcu102": (ZCU102, 0x2000_0000, 0xF901_0000, 0xFF00_0000, 53),  # the memory covers a guest's usual UART
}


def ask_places(machine: Machine, names: list[str], interrupt: int) -> None:
    """The shell in front finds the nodes in its tree, and its UART has the interrupt."""
    machine.send("ls /proc/device-tree\r")
    machine.expect_all(names, SECONDS)
    machine.send("grep pl011 /proc/interrupts\r")
    machine.expect(re.compile(rf" {interrupt} +Level +uart-pl011"), SECONDS)


@pytest.mark.parametrize("name", MACHINES)
def test_linux_finds_all_where_the_machine_has_it(booted, tmp_path: Path, name: str) -> None:
    """Also when it has reset itself; beside a guest with the usual places."""
    machine, memory, distributor, uart, interrupt = MACHINES[name]
    text = f'[scenario]\ndescription = "a guest that is mapped directly"\n{machine}{DOMAINS.format(at=memory)}'
    (tmp_path / "direct.toml").write_text(text)
    started = booted("direct", folder=tmp_path)
    started.expect_all(["READY linux1", "READY hello"], BOOT_SECONDS)
    nodes = [f"memory@{memory:x}", f"interrupt-controller@{distributor:x}", f"sbsa-uart@{uart:x}"]
    focus(started, "linux1")
    ask_shell(started, "linux1")
    ask_places(started, nodes, interrupt)
    started.send("reboot -f\r")
    started.expect("(hv) d1 linux1: reset", SECONDS)
    started.expect("READY linux1", BOOT_SECONDS)
    ask_shell(started, "linux1")
    focus(started, "hello")
    ask_hello(started)
    assert_well(started)
