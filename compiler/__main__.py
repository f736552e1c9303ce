"""`python -m compiler check|emit`: types a program, or writes its C and objects."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from compiler import driver
from compiler.config import ROOT, configuration, host_configuration
from compiler.errors import CompileError
from compiler.program import Program


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m compiler", description="The compiler of the restricted Python (docs/language.md).")
    parser.add_argument("action", choices=["check", "emit", "objects"], help="check: type and lower; emit: write C; objects: compile the C with clang too")
    parser.add_argument("--target", choices=sorted(driver.TARGETS), default="arm64")
    parser.add_argument("--config", type=Path, help="a defconfig; without one kconfig/arm64_virt_defconfig (host_defconfig for the host)")
    parser.add_argument("--root", action="append", default=[], help="a module to start from, such as hv.arm64.main; may be repeated")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "emit")
    parser.add_argument("--jobs", type=int)
    options = parser.parse_args()
    target = driver.TARGETS[options.target]
    config = configuration(options.config) if options.config else host_configuration() if target.hosted else configuration(ROOT / "kconfig" / "arm64_virt_defconfig")
    try:
        program = Program(ROOT, target, config)
        for root in options.root or [driver.ROOTS[options.target]]:
            program.load(root)
        compiler = driver.front_end(program)
        if options.action == "check":
            print(f"{len(program.ordered)} modules, {len(compiler.lowered)} functions")
            return 0
        output = driver.emit(compiler, options.out, options.jobs)
        if options.action == "objects":
            objects = driver.compile_objects(output, target.clang, options.target, options.jobs)
            print(f"{len(objects)} objects in {options.out}")
    except (CompileError, RuntimeError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
