"""Programs linked as the hypervisor is, and executed by unicorn, which counts instructions."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm64_const, x86_const

from compiler import driver, link
from compiler.config import ROOT
from compiler.program import Program

BASE, STACK, STOP = 0x10_0000, 0x80_0000, 0x70_0000
GUARD = "unsigned long __stack_chk_guard = 0x5bd1e995; void __stack_chk_fail(void) { __builtin_trap(); }\n"


def image(machine: str, program: Path, name: str, kept: Iterable[str], careful: Path | None = None) -> Path:
    """The image of one module, called `name`, and of a C file beside it; the symbols that are kept stay callable."""
    target = driver.TARGETS[machine]
    directory = ROOT / "build" / "machine" / f"{machine}-{program.stem}"
    loaded = Program(ROOT, target, {})
    loaded.load_file(name, program)
    output = driver.emit(driver.front_end(loaded), directory, jobs=1)
    objects = driver.compile_objects(output, target.clang, machine, jobs=1)
    if careful is None:
        careful = directory / "guard.c"
        careful.write_text(GUARD)
    beside = directory / "beside.o"
    run(driver.CLANG, *driver.COMMON, *target.clang, "-c", careful, "-o", beside)
    boot = link.boot_folder(target)
    objects += link.assemble([boot / "checks.S"], target, output, [boot])
    made = directory / "image.elf"
    wanted = [f"--undefined={symbol}" for symbol in kept]
    run(
        link.LLD,
        "--lto-O2",
        *target.link,
        f"--image-base={BASE:#x}",
        "--entry=0",
        *wanted,
        "-o",
        made,
        *objects,
        beside,
    )
    return made


def run(*command: object) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Machine:
    """A machine with nothing but the image in it."""

    def __init__(self, name: str, image: Path) -> None:
        arm = name == "arm64"
        kind = (unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM) if arm else (unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self.arm = arm
        self.cpu = unicorn.Uc(*kind)
        self.cpu.mem_map(BASE, 0x80_0000)
        with image.open("rb") as file:
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
