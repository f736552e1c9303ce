"""The compiler's command line: types a program, writes its C, links the hypervisor, a unikernel or the host library."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import Any

from compiler import driver, hostbuild, link
from compiler.config import ROOT, configuration, host_configuration
from compiler.errors import CompileError
from compiler.program import Program

DEFCONFIGS = {
    "arm64": "arm64_virt",
    "arm64-guest": "arm64_virt",
    "x86": "x86_pc",
    "x86-guest": "x86_pc",
    "x86-loader": "x86_pc",
}
GUESTS = ROOT / "qemu-tests" / "guests"
GUEST_FOLDERS = {"arm64": GUESTS, "x86": GUESTS / "x86"}
GUEST_PACKAGES = {"arm64": "guests", "x86": "guests.x86"}
LOADERS = {"x86": ROOT / "loader" / "x86"}
"""What unpacks kernels in guests: its assembly and link script. With CONFIG_BZIMAGE it is part of the image."""


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m compiler", description="The compiler of the restricted Python (docs/language.md)."
    )
    parser.add_argument(
        "action",
        choices=["check", "emit", "image", "guest", "host"],
        help="check: type and lower; emit: write C; image: the hypervisor's image; guest: a unikernel's; "
        "host: the library for tests",
    )
    parser.add_argument("--target", choices=sorted(driver.TARGETS), default="arm64")
    parser.add_argument(
        "--config",
        type=Path,
        help="a defconfig; without one the target's: arm64_virt, x86_pc or host",
    )
    parser.add_argument(
        "--root", action="append", default=[], help="a module to start from, such as hv.arm64.main; may be repeated"
    )
    parser.add_argument("--name", default="hello", help="of the unikernel")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "emit")
    parser.add_argument("--product", type=Path, help="where the image or library goes besides the output directory")
    parser.add_argument("--depfile", type=Path, help="written for ninja: what the product was made from")
    parser.add_argument("--jobs", type=int)
    return parser


def act(options: argparse.Namespace) -> None:
    made: Path | None = None
    if options.action == "host":
        made = hostbuild.build_library()
        inputs = [*hostbuild.sources(), *(ROOT / "hv").glob("*.toml")]
    else:
        target = driver.TARGETS[f"{options.target}-guest" if options.action == "guest" else options.target]
        config = (
            host_configuration()
            if target.hosted and not options.config
            else configuration(options.config or ROOT / "kconfig" / f"{DEFCONFIGS[target.name]}_defconfig")
        )
        if not target.hosted and not config[f"CONFIG_{target.architecture.upper()}"]:
            raise RuntimeError(f"{options.config}: this is no configuration of the target {target.name}")
        program = Program(ROOT, target, config)
        roots = (
            [f"{GUEST_PACKAGES[options.target]}.{options.name}"]
            if options.action == "guest"
            else options.root or [driver.ROOTS[target.name]]
        )
        for root in roots:
            program.load(root)
        compiler = driver.front_end(program)
        if options.action == "check":
            print(f"{len(program.ordered)} modules, {len(compiler.lowered)} functions")
            return
        output = driver.emit(compiler, options.out, options.jobs)
        inputs = [*output.inputs, ROOT / "hv" / "listed.toml"]
        if options.action in ("image", "guest"):
            objects = driver.compile_objects(output, driver.flags(program), target.name, options.jobs)
            link.assembly_offsets(output, driver.flags(program))
            if options.action == "image":
                loader = None
                if config.get("CONFIG_BZIMAGE"):
                    loader, more = build_loader(options.target, config, options.out / "loader", options.jobs)
                    inputs += more
                flags, with_lines = driver.link_flags(program), config["CONFIG_LINE_TABLE"]
                made = link.hypervisor(target, output, objects, flags, loader, with_lines)
                inputs += [*link.boot_folder(target).iterdir()]
            else:
                folder = GUEST_FOLDERS[options.target]
                made = link.guest(target, output, objects, folder, options.name)
                inputs += assembly_of(folder)
    if made is not None and options.product is not None and options.product.resolve() != made.resolve():
        options.product.write_bytes(made.read_bytes())
    if options.depfile is not None and made is not None:
        inputs += [*(ROOT / "compiler").glob("*.py"), *(ROOT / "kconfig").iterdir()]
        options.depfile.write_text(f"{options.product or made}: {' '.join(str(p) for p in sorted(set(inputs)))}\n")


def build_loader(
    architecture: str, config: dict[str, Any], directory: Path, jobs: int | None = None
) -> tuple[Path, list[Path]]:
    """The loader's image, and what it was made from."""
    target = driver.TARGETS[f"{architecture}-loader"]
    program = Program(ROOT, target, config)
    program.load(driver.ROOTS[target.name])
    output = driver.emit(driver.front_end(program), directory, jobs)
    objects = driver.compile_objects(output, driver.flags(program), target.name, jobs)
    link.assembly_offsets(output, driver.flags(program))
    folder = LOADERS[architecture]
    return link.guest(target, output, objects, folder, "loader"), [*output.inputs, *assembly_of(folder)]


def assembly_of(folder: Path) -> list[Path]:
    """What a unikernel is made from besides modules."""
    return [p for p in folder.iterdir() if p.suffix in (".S", ".lds", ".h")]


def main() -> int:
    gc.disable()  # trees live as long as the process: looking for garbage in them is a quarter of its time
    try:
        act(arguments().parse_args())
    except FileNotFoundError as error:
        print(f"there is no {error.filename}", file=sys.stderr)
        return 1
    except (CompileError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
