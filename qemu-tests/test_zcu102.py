"""Xilinx' ZCU102 as QEMU has it, with the device tree of Debian's kernel and the image for the board: Cortex-A53, a
GIC-400 whose CPU interface is spread over pages of 64 KiB, a Cadence UART.
"""

import re
import subprocess
from pathlib import Path

import libfdt
import pytest
from console import ask_hello, ask_shell, assert_well, focus

from devtools import build, qemu
from devtools.machine import Machine
from devtools.scenario import BOARDS
from devtools.scenario import Machine as Hardware

pytestmark = pytest.mark.arm64

SECONDS = 60
BOOT_SECONDS = 300
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


def test_a_panic_is_told_by_addresses_that_the_elf_file_explains(tmp_path: Path) -> None:
    """The image has no table of lines. The tree at hand has no interrupt controller."""
    hardware = Hardware(machine="xlnx-zcu102", cpu="cortex-a53", cpus=4, memory=2048)
    tree = libfdt.Fdt(qemu.base_tree(hardware))
    tree.resize(tree.totalsize() + 64)
    tree.setprop_str(tree.path_offset("/axi/interrupt-controller@f9010000"), "status", "disabled")
    (tmp_path / "board.dtb").write_bytes(tree.as_bytearray())
    image = build.build(BOARDS[hardware.machine].config)
    payload = qemu.Payload(image, dtb=tmp_path / "board.dtb", bootargs="noreboot")
    with Machine(qemu.command(hardware, payload)) as machine:
        machine.expect("no interrupt controller that the device tree describes can be used: ENODEV", SECONDS)
        machine.expect(re.compile(r"(\(hv\)   0x[0-9a-f]+\s+){2}"), SECONDS)
        addresses = re.findall(r"\(hv\)   (0x80[0-9a-f]{8})\s", machine.output)
    elf = image.with_name("hv") / "hv.elf"
    command = ["llvm-symbolizer-19", f"--obj={elf}", *addresses]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"hv/arm64/main\.py:\d+", said.stdout), said.stdout


def test_guests_beside_each_other(booted) -> None:
    """Three Debian guests and a unikernel boot on GICv2s of their own, and answer what is typed. Two have colours of
    the last cache, which the CPU's registers tell."""
    machine = booted("zcu102")
    machine.expect("(hv) the last cache has 16 colours", BOOT_SECONDS)
    linuxes = ["linux1", "linux2", "linux3"]
    machine.expect_all([f"READY {name}" for name in (*linuxes, "hello")], BOOT_SECONDS)
    for name in linuxes:
        focus(machine, name)
        ask_shell(machine, name)
    focus(machine, "hello")
    ask_hello(machine)
    assert_well(machine)
