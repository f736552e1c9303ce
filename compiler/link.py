"""From objects to an image: assembly stubs, two link passes, and what is proven of the result.

The first pass lays the code out; from its DWARF the table of addresses and source lines is made, which the second pass
puts behind the read-only data, so that no function moves.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from elftools.elf.elffile import ELFFile

from compiler import driver, proofs, report
from compiler.config import ROOT
from compiler.program import Target
from compiler.steps import Step, bring_up_to_date

LLD = "ld.lld-19"
OBJCOPY = "llvm-objcopy-19"
OFFSETS = "asm_offsets.h"
LINK = (
    "-z",
    "max-page-size=4096",
    "--build-id=none",
    "--no-undefined",
    "--fatal-warnings",
    "--lto-O2",
    "--gc-sections",
)


class LinkError(RuntimeError):
    """The tools refused, or the image is not what it must be."""


def run(*command: object) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise LinkError(f"{' '.join(str(c) for c in command[:3])} …\n{done.stdout}{done.stderr}")


def assembly_offsets(output: driver.Output, flags: tuple[str, ...]) -> None:
    """Writes asm_offsets.h: the sizes and field offsets that assembly uses, as the C compiler lays them out."""
    source, listing = output.directory / "offsets.c", output.directory / "offsets.s"
    plain = [f for f in flags if not f.startswith("-flto")]
    command = (driver.CLANG, *driver.COMMON, *plain, "-S", source, "-o", listing)
    bring_up_to_date([Step(command, listing, [source, output.directory / "hv.h"])])
    found = re.findall(r"->(\w+) #?(\d+)", listing.read_text())
    driver.write(output.directory / OFFSETS, "".join(f"#define {name} {value}\n" for name, value in found))


def assemble(sources: list[Path], target: Target, output: driver.Output, includes: list[Path]) -> list[Path]:
    """Assembles the stubs; unchanged ones are kept. Raises RuntimeError with the assembler's words."""
    # The same image wherever the checkout lies, and wherever the build is run from.
    named = (f"-ffile-prefix-map={ROOT}/=", "-fdebug-compilation-dir=.")
    paths = [f"-I{folder}" for folder in (output.directory, *includes)]
    headers = [*output.directory.glob(OFFSETS), *(path for folder in includes for path in sorted(folder.glob("*.h")))]
    steps = []
    for source in sources:
        made = output.directory / f"{source.stem}.S.o"
        command = (driver.CLANG, *target.assembler, *named, *paths, "-c", source, "-o", made)
        steps.append(Step(command, made, [source, *headers]))
    bring_up_to_date(steps)
    return [step.made for step in steps]


def link(objects: list[Path], script: Path, made: Path, extra: tuple[object, ...] = ()) -> None:
    run(LLD, *LINK, "-T", script, *extra, "-o", made, *objects)


def code_places(elf: Path) -> dict[str, int]:
    """Where each function and label of the code lies. (Its bytes differ between the passes where they reach data.)"""
    with elf.open("rb") as file:
        image = ELFFile(file)
        text = image.get_section_by_name(".text")
        found = {".text end": text["sh_addr"] + text["sh_size"]}
        for symbol in image.get_section_by_name(".symtab").iter_symbols():
            if text["sh_addr"] <= symbol["st_value"] < text["sh_addr"] + text["sh_size"]:
                found[symbol.name] = symbol["st_value"]
        return found


def hypervisor(
    target: Target,
    output: driver.Output,
    objects: list[Path],
    flags: tuple[str, ...] = (),
    loader: Path | None = None,
    with_lines: bool = True,
) -> Path:
    """Links the hypervisor: hv.elf with debugging information, hv.image to boot. The image's path comes back. `loader`
    is the program that it gives to guests whose kernels are packed; without lines its backtraces are addresses.
    """
    from compiler import lines

    directory = output.directory
    boot = boot_folder(target)
    stubs = assemble(sorted(boot.glob("*.S")), target, output, [boot])
    if loader is not None:
        stubs.append(included(target, ".loader", loader, directory))
    script = boot / "hv.lds"
    first, elf, image = directory / "hv-pass1.elf", directory / "hv.elf", directory / "hv.image"
    strict = ("--orphan-handling=error", *target.link, *flags)
    # The first pass makes machine code of all modules together; the second takes that as it is.
    code = directory / "hv-code.o"
    link([*stubs, *objects], script, first, (*strict, f"--lto-obj-path={code}"))
    table = directory / "lines.bin"
    table.write_bytes(lines.encode_elf(first) if with_lines else b"")
    link([*stubs, code, included(target, ".lines", table, directory)], script, elf, strict)
    if code_places(first) != code_places(elf):
        raise LinkError("the second link pass moved code: the line table would lie")
    proven = proofs.hypervisor(elf, boot, output.symbols, directory / OFFSETS)
    report.write(proven, directory, output.symbols)
    run(OBJCOPY, *target.image, elf, image)
    return image


def included(target: Target, section: str, file: Path, directory: Path) -> Path:
    """An object with a file's bytes in a section."""
    source = directory / f"{section[1:]}.s"
    source.write_text(f'.section {section}, "a"\n.incbin "{file}"\n')
    run(driver.CLANG, *target.assembler, "-c", source, "-o", source.with_suffix(".o"))
    return source.with_suffix(".o")


def boot_folder(target: Target) -> Path:
    """Where the hypervisor's assembly and its link script lie."""
    return ROOT / "boot" / target.name


def guest(target: Target, output: driver.Output, objects: list[Path], guests: Path, name: str) -> Path:
    """Links a unikernel, by the link script in the folder: NAME.elf and NAME.image in the output's directory."""
    (script,) = guests.glob("*.lds")
    stubs = assemble(sorted(guests.glob("*.S")), target, output, [guests])
    elf, image = output.directory / f"{name}.elf", output.directory / f"{name}.image"
    link([*stubs, *objects], script, elf)
    proofs.structure(elf)
    run(OBJCOPY, *target.image, elf, image)
    return image
