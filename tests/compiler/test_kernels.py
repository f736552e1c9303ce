"""The compiler's code is as short as careful C: five small functions, executed and counted in instructions.

Both sides are compiled and linked as the hypervisor is, by the same clang with the same flags, hardening included, for
arm64 and x86-64, and executed by unicorn, which counts. The C exists in this test alone.
"""

from __future__ import annotations

import subprocess
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm64_const, x86_const

from compiler import driver, link
from compiler.config import ROOT
from compiler.program import Program

HERE = Path(__file__).parent / "kernels"
BASE, STACK, STOP = 0x10_0000, 0x80_0000, 0x70_0000
KERNELS = {
    "ring_copy": [0, 1, 100, 4096],
    "ordered_insert": [1, 12345],
    "hash_look_up": [0, 3, 100, 200],
    "page_table_walk": [0, 1, 500, 1024],
    "crc": [0, 9, 4096],
}
AT_MOST = 1.03


@cache
def linked(machine: str) -> Path:
    """An image with both sides."""
    target = driver.TARGETS[machine]
    directory = ROOT / "build" / "kernels" / machine
    program = Program(ROOT, target, {})
    program.load_file("kernels", HERE / "kernels.py")
    output = driver.emit(driver.front_end(program), directory, jobs=1)
    objects = driver.compile_objects(output, target.clang, machine, jobs=1)
    careful = directory / "careful.o"
    run(driver.CLANG, *driver.COMMON, *target.clang, "-c", HERE / "kernels.c", "-o", careful)
    made = directory / "kernels.elf"
    kept = [f"--undefined={prefix}_{kernel}" for kernel in KERNELS for prefix in ("kernels", "c")]
    kept += ["--undefined=kernels_source", "--undefined=source"]  # written from outside
    run(
        link.LLD, "--lto-O2", *target.link, f"--image-base={BASE:#x}", "--entry=0", *kept, "-o", made, *objects, careful
    )
    return made


def run(*command: object) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Machine:
    """A machine with nothing but the image in it."""

    def __init__(self, name: str) -> None:
        arm = name == "arm64"
        kind = (unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM) if arm else (unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self.arm = arm
        self.cpu = unicorn.Uc(*kind)
        self.cpu.mem_map(BASE, 0x80_0000)
        with linked(name).open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments():
                if segment["p_type"] == "PT_LOAD":
                    self.cpu.mem_write(segment["p_vaddr"], segment.data())
            table: Any = elf.get_section_by_name(".symtab")
            self.symbols = {s.name: s["st_value"] for s in table.iter_symbols()}
        self.executed = 0
        self.cpu.hook_add(unicorn.UC_HOOK_CODE, self.count)

    def count(self, *_: object) -> None:
        self.executed += 1

    def call(self, name: str, argument: int) -> tuple[int, int]:
        """What a function returns, and how many instructions that took."""
        self.executed = 0
        if self.arm:
            self.cpu.reg_write(arm64_const.UC_ARM64_REG_X0, argument)
            self.cpu.reg_write(arm64_const.UC_ARM64_REG_X30, STOP)
            self.cpu.reg_write(arm64_const.UC_ARM64_REG_SP, STACK)
            self.cpu.emu_start(self.symbols[name], STOP)
            return self.cpu.reg_read(arm64_const.UC_ARM64_REG_X0), self.executed
        self.cpu.mem_write(STACK - 8, STOP.to_bytes(8, "little"))
        self.cpu.reg_write(x86_const.UC_X86_REG_RSP, STACK - 8)
        self.cpu.reg_write(x86_const.UC_X86_REG_RDI, argument)
        self.cpu.emu_start(self.symbols[name], STOP)
        return self.cpu.reg_read(x86_const.UC_X86_REG_RAX), self.executed


@pytest.mark.parametrize("machine", ["arm64", "x86"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_as_short_as_careful_c(machine: str, kernel: str) -> None:
    for argument in KERNELS[kernel]:
        ours, theirs = Machine(machine), Machine(machine)
        answer, executed = ours.call(f"kernels_{kernel}", argument)
        expected, careful = theirs.call(f"c_{kernel}", argument)
        assert answer == expected
        assert executed <= careful * AT_MOST, f"{kernel}({argument}): {executed} instructions, C takes {careful}"


def test_the_answer_is_right() -> None:
    machine = Machine("x86")
    data = bytes(i * 7 % 256 for i in range(100))
    machine.cpu.mem_write(machine.symbols["kernels_source"], data)
    assert machine.call("kernels_crc", 100)[0] == zlib.crc32(data)
