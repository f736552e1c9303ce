"""Machines whose firmware is ours (firmware.S): QEMU's virt with its EL3, a spin table, and no PSCI CPU_ON."""

import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import libfdt

from devtools import qemu
from devtools.scenario import Machine

SOURCE = Path(__file__).with_name("firmware.S")
KERNEL = 0x4020_0000
TREE = 0x4800_0000
TABLE = 0x47FF_0000
PAGE = 0x1000
ROOM = 1 << 14


@dataclass(frozen=True)
class Firmware:
    """`answers`: what it says of SMCCC_ARCH_WORKAROUND_1 and 3; -1: it has none. `shared`: all CPUs wait at the second
    word of the table."""

    gic_version: int = 3
    answers: tuple[int, int] = (-1, -1)
    shared: bool = False

    def build(self, folder: Path) -> Path:
        given = {
            "GIC": self.gic_version,
            "KERNEL": KERNEL,
            "TREE": TREE,
            "TABLE": TABLE,
            "SHARED": int(self.shared),
            "ANSWER_1": self.answers[0],
            "ANSWER_3": self.answers[1],
        }
        thing, image = folder / "firmware.o", folder / "firmware.bin"
        words = [f"-D{name}={value}" for name, value in given.items()]
        subprocess.run(
            ["clang-19", "--target=aarch64-none-elf", *words, "-c", str(SOURCE), "-o", str(thing)], check=True
        )
        subprocess.run(["ld.lld-19", "--oformat=binary", "-Ttext=0", "-o", str(image), str(thing)], check=True)
        return image


def command(
    machine: Machine, firmware: Path, kernel: Path, tree: bytes, folder: Path, more: Sequence[tuple[int, Path]] = ()
) -> list[str]:
    """QEMU's: the kernel and the tree are where the firmware expects them; `more` is loaded besides."""
    dtb = folder / "machine.dtb"
    dtb.write_bytes(tree)
    loads = [(KERNEL, kernel), (TREE, dtb), *more]
    words = [*qemu.hardware(machine, "secure=on"), *qemu.SURROUNDINGS, *qemu.SERIAL["com1"], "-bios", str(firmware)]
    for address, path in loads:
        words += ["-device", f"loader,file={path},addr={address:#x},force-raw=on"]
    return words


class Tree:
    """A machine's device tree, to be changed."""

    def __init__(self, dtb: bytes) -> None:
        self.fdt = libfdt.Fdt(dtb)
        self.fdt.resize(self.fdt.totalsize() + ROOM)

    def spin_table(self, cpus: int, psci: bool = False) -> "Tree":
        """All CPUs but the first wait in the table, each at a word of its own. `psci`: the firmware takes SMCs."""
        if not psci:
            self.fdt.del_node(self.fdt.path_offset("/psci"))
        reserved = self.fdt.add_subnode(0, "reserved-memory")
        for name in ("#address-cells", "#size-cells"):
            self.fdt.setprop_u32(reserved, name, 2)
        self.fdt.setprop(reserved, "ranges", b"")
        table = self.fdt.add_subnode(reserved, f"spin-table@{TABLE:x}")
        self.fdt.setprop(table, "reg", struct.pack(">QQ", TABLE, PAGE))
        for cpu in range(cpus):
            self.start(cpu, "spin-table", TABLE + 8 * cpu)
        return self

    def start(self, cpu: int, method: str, release: int | None = None) -> "Tree":
        path = f"/cpus/cpu@{cpu:x}"
        self.fdt.setprop_str(self.fdt.path_offset(path), "enable-method", method)
        if release is not None:
            self.fdt.setprop_u64(self.fdt.path_offset(path), "cpu-release-addr", release)
        return self

    def bytes(self) -> bytes:
        self.fdt.pack()
        return bytes(self.fdt.as_bytearray())[: self.fdt.totalsize()]
