"""Small images for tests of the proofs: assembly or C through clang and lld, restricted Python through the compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from compiler import driver, link
from compiler.program import Program

TARGETS = {"arm64": "aarch64-none-elf", "x86": "x86_64-none-elf"}
SCRIPT = """
PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); }
SECTIONS {
    . = 0x400000;
    .text : { *(.text .text.*) } :text
    .rodata : { *(.rodata .rodata.*) } :text
    . = ALIGN(4096);
    .data : { *(.data .data.* .bss .bss.*) } :data
}
"""


def linked(
    folder: Path, architecture: str, *sources: str, flags: tuple[str, ...] = (), lld: tuple[str, ...] = ()
) -> Path:
    """An ELF of sources: C when one begins with `//`, assembly otherwise. `flags` are clang's."""
    objects = []
    for i, text in enumerate(sources):
        source = folder / f"part{i}.{'c' if text.lstrip().startswith('//') else 'S'}"
        source.write_text(text + "\n")
        made = source.with_suffix(".o")
        base = (driver.CLANG, f"--target={TARGETS[architecture]}", "-ffreestanding", "-fno-pic", "-O2", "-g")
        subprocess.run([*base, *flags, "-c", source, "-o", made], check=True, capture_output=True)
        objects.append(made)
    script, elf = folder / "script.lds", folder / "image.elf"
    if not script.exists():
        script.write_text(SCRIPT)
    link.run(link.LLD, "-T", script, "-e", "0x400000", *lld, "-o", elf, *objects)
    return elf


def compiled(folder: Path, text: str, assembly: str, config: dict[str, Any]) -> tuple[Path, dict[str, Any], Path]:
    """An arm64 ELF of one module of restricted Python and its assembly, with symbols.json and asm_offsets.h."""
    source = folder / "program.py"
    source.write_text(text)
    target = driver.TARGETS["arm64"]
    program = Program(folder, target, config)
    program.load_file("program", source)
    output = driver.emit(driver.front_end(program), folder / "out", jobs=1)
    objects = driver.compile_objects(output, target.clang, "arm64", jobs=1)
    link.assembly_offsets(output, target.clang)
    start = folder / "start.S"
    start.write_text(assembly)
    script, elf = folder / "script.lds", folder / "image.elf"
    script.write_text(SCRIPT)
    stubs = link.assemble([start, link.boot_folder(target) / "checks.S"], target, output, [folder])
    link.link([*stubs, *objects], script, elf, ("-e", "_start"))
    return elf, output.symbols, output.directory / "asm_offsets.h"
