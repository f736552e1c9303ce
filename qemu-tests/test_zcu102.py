"""Xilinx' ZCU102 as QEMU has it: Cortex-A53, and a GIC-400 whose CPU interface is spread over pages of 64 KiB. There is
no driver for its UARTs, so what the hypervisor says is read from its log in the machine's memory.
"""

import time
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from devtools import build, qemu
from devtools.machine import Machine
from devtools.scenario import Machine as Hardware
from tests.common.guests import Node, flat, strings, u32, u64

pytestmark = pytest.mark.arm64

SECONDS = 60
LINK_ADDRESS = 0x80_0000_0000
LOADED = 0x20_0000  # where QEMU puts an Image: 2 MiB from the start of RAM
DUMPED = 0x100_0000
GIC = ((0xF901_0000, 0x1_0000), (0xF902_0000, 0x2_0000), (0xF904_0000, 0x2_0000), (0xF906_0000, 0x2_0000))


def tree(cpus: int) -> bytes:
    """As Linux describes the board (arch/arm64/boot/dts/xilinx/zynqmp.dtsi), as far as the hypervisor looks."""
    cores = [
        Node(f"cpu@{i:x}", {"device_type": strings("cpu"), "enable-method": strings("psci"), "reg": u32(i)})
        for i in range(cpus)
    ]
    timers = b"".join(u32(1) + u32(number) + u32(0xF08) for number in (13, 14, 11, 10))
    controller = {
        "compatible": strings("arm,gic-400"),
        "interrupts": u32(1) + u32(9) + u32(0xF04),
        "reg": b"".join(u64(start) + u64(size) for start, size in GIC),
    }
    return flat(
        Node(
            "",
            {"#address-cells": u32(2), "#size-cells": u32(2)},
            [
                Node("memory@0", {"device_type": strings("memory"), "reg": u64(0) + u64(0x7FF0_0000)}),
                Node("cpus", {"#address-cells": u32(1), "#size-cells": u32(0)}, cores),
                Node("psci", {"compatible": strings("arm,psci-0.2"), "method": strings("smc")}),
                Node("timer", {"compatible": strings("arm,armv8-timer"), "interrupts": timers}),
                Node("interrupt-controller@f9010000", controller),
                Node("chosen", {"bootargs": strings("noreboot")}),
            ],
        )
    )


class Board:
    def __init__(self, folder: Path, machine: Machine) -> None:
        self.dump = folder / "memory"
        self.machine = machine

    def memory(self) -> bytes:
        self.machine.send(f'pmemsave 0 {DUMPED:#x} "{self.dump}"\n')
        self.machine.expect("(qemu)", SECONDS)
        self.machine.send("info status\n")
        self.machine.expect("running", SECONDS)
        return self.dump.read_bytes()

    def expect(self, text: str) -> bytes:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            memory = self.memory()
            if f"(hv) {text}".encode() in memory:
                return memory
            time.sleep(0.5)
        raise AssertionError(f"{text!r} is not in the log: {memory.split(b'(hv) ')[1:20]}")


def address_of(elf: Path, name: str) -> int:
    """Where a static object is in the machine's memory."""
    with elf.open("rb") as file:
        (symbol,) = ELFFile(file).get_section_by_name(".symtab").get_symbol_by_name(name)
        return int(symbol["st_value"]) - LINK_ADDRESS + LOADED


def test_four_cpus_on_a_spread_gic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All CPUs start, and interrupts are deactivated where the second page is: 64 KiB behind the first."""
    monkeypatch.setenv("QEMU_AUDIO_DRV", "none")
    (tmp_path / "board.dtb").write_bytes(tree(4))
    image = build.build()
    hardware = Hardware(machine="xlnx-zcu102", cpu="cortex-a53", cpus=4, memory=2048)
    words = qemu.hardware(hardware, "virtualization=on")
    words += ["-nodefaults", "-no-reboot", "-display", "none", "-monitor", "stdio", "-serial", "null"]
    words += ["-kernel", str(image), "-dtb", str(tmp_path / "board.dtb")]
    with Machine(words) as machine:
        memory = Board(tmp_path, machine).expect("4 of 4 CPUs run")
    driver = address_of(image.with_name("hv") / "hv.elf", "arm64_gicv2_gicv2")
    distributor, interface, deactivation = (
        int.from_bytes(memory[driver + i : driver + i + 8], "little") for i in (0, 8, 16)
    )
    assert distributor and deactivation == interface + 0x1_0000
