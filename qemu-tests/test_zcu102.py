"""Xilinx' ZCU102 as QEMU has it, with the device tree of Debian's kernel and the image for the board: Cortex-A53, a
GIC-400 whose CPU interface is spread over pages of 64 KiB, a Cadence UART.
"""

import pytest
from console import ask_hello, ask_shell, assert_well, focus

pytestmark = pytest.mark.arm64

SECONDS = 60
BOOT_SECONDS = 240
ZCU102 = {"machine": "xlnx-zcu102", "cpu": "cortex-a53", "memory": 2048}


def test_four_cpus_on_a_spread_gic(hypervisor) -> None:
    """All CPUs start, which takes interrupts between them that end: they are deactivated 64 KiB behind where another
    GICv2 has it. The console prints and takes keys by its UART's interrupt.
    """
    machine = hypervisor("noreboot", cpus=4, **ZCU102)
    machine.expect("(hv) Constrictor", SECONDS)
    machine.expect("4 of 4 CPUs run", SECONDS)
    for _ in range(3):  # the interrupt comes again
        machine.send("h")
        machine.expect("h: lists the keys", SECONDS)


def test_guests_beside_each_other(booted) -> None:
    """Three Debian guests and a unikernel boot on GICv2s of their own, and answer what is typed."""
    machine = booted("zcu102")
    linuxes = ["linux1", "linux2", "linux3"]
    machine.expect_all([f"READY {name}" for name in (*linuxes, "hello")], BOOT_SECONDS)
    for name in linuxes:
        focus(machine, name)
        ask_shell(machine, name)
    focus(machine, "hello")
    ask_hello(machine)
    assert_well(machine)
