"""`./dev build`: sets up a build folder with meson and runs ninja in it."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from devtools import sizes
from devtools.paths import BUILD, ROOT
from devtools.report import Problem, locked, progress

DEFAULT_CONFIG = "arm64_virt"
PRODUCTS = {"machine": "hv.image", "host": "libhv.so"}


def main(arguments: argparse.Namespace) -> int:
    reported = arguments.report or arguments.json
    if reported and arguments.target == "host":
        raise Problem("--report and --json are about an image: leave out --target host")
    product = build(arguments.config, arguments.target)
    if arguments.target == "machine":
        progress(sizes.summary(sizes.read(folder(arguments.config))))
    if not reported:
        print(product)
        return 0
    report = sizes.read(folder(arguments.config))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(report, indent=1) + "\n")
    if arguments.report:
        sizes.show(report, Console(width=None if sys.stdout.isatty() else sizes.WIDTH))
    return 0


def folder(config: str = DEFAULT_CONFIG, target: str = "machine") -> Path:
    """The build folder: build/CONFIG for the machine, build/host (or build/host-CONFIG) for the host library."""
    if target == "host":
        return BUILD / ("host" if config == DEFAULT_CONFIG else f"host-{config}")
    return BUILD / config


def architecture(config: str) -> str:
    """Of the machine that a configuration is for: kconfig/Kconfig lets it choose, and begins with arm64."""
    chosen = (ROOT / "kconfig" / f"{config}_defconfig").read_text().splitlines()
    return "x86" if "CONFIG_X86=y" in chosen else "arm64"


def build(config: str = DEFAULT_CONFIG, target: str = "machine") -> Path:
    """Builds a configuration and returns its product. Raises Problem, with the compiler's words shown before."""
    if not (ROOT / "kconfig" / f"{config}_defconfig").exists():
        known = sorted(path.name.removesuffix("_defconfig") for path in (ROOT / "kconfig").glob("*_defconfig"))
        raise Problem(f"there is no kconfig/{config}_defconfig; the configurations are: {', '.join(known) or 'none'}")
    place = folder(config, target)
    with locked(place / ".lock"):
        if not (place / "build.ninja").exists():
            progress(f"setting up {place.relative_to(ROOT)}")
            meant = architecture(config) if target == "machine" else target
            options = [f"-Dconfig={config}", f"-Dtarget={meant}"]
            setup = [sys.executable, "-m", "mesonbuild.mesonmain", "setup", *options, str(place), str(ROOT)]
            done = subprocess.run(setup, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                raise Problem(f"meson could not set up {place}:\n{done.stdout}", 1)
        ninja(place)
    product = place / PRODUCTS[target]
    if not product.exists():
        raise Problem(f"the build of {place.relative_to(ROOT)} ended without {product.name}")
    return product


def ninja(place: Path) -> None:
    """Runs ninja, showing its steps only when there are any: one changing line on a terminal, else line by line."""
    command = shutil.which("ninja")
    if command is None:
        raise Problem("ninja is not installed")
    changing = sys.stderr.isatty()
    width = shutil.get_terminal_size().columns - 1
    shown = False
    with subprocess.Popen(
        [command, "-C", str(place)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in map(str.rstrip, process.stdout):
            if line.startswith(("ninja: no work to do", "ninja: Entering directory")):
                continue
            step = line.startswith("[")
            if step and changing:
                print(f"\r\x1b[K{line[:width]}", end="", file=sys.stderr, flush=True)
            else:
                print(("\n" if shown and changing else "") + line, file=sys.stderr, flush=True)
            shown = step
    if shown and changing:
        print(file=sys.stderr)
    if process.returncode:
        raise Problem(f"the build in {place.relative_to(ROOT)} failed", 1)
