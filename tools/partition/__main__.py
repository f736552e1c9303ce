"""`python -m tools.partition check|build|show FILE`: the same as `./dev partition`.

Exit status: 0 done, 1 the partition file has mistakes (printed one per line), 2 the command cannot be used so.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from tools.partition.description import load
from tools.partition.fit import TooLarge, commands, fit_image
from tools.partition.formats import FORMATS
from tools.partition.machine import read_machine
from tools.partition.mistakes import PartitionError, Wrong
from tools.partition.model import Compiled
from tools.partition.partition import Partition
from tools.partition.places import Places, places_of
from tools.partition.show import as_svg, as_text, draw_map, renderable
from tools.partition.uboot import write_folder

BUILDS = (*FORMATS, "uboot", "fit")


def main(arguments: list[str] | None = None, program: str = "python -m tools.partition") -> int:
    parser = _parser(program)
    options = parser.parse_args(arguments)
    command = _Command(parser, options)
    try:
        return command.run()
    except PartitionError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="Descriptions of domains: docs/partitions.md.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in (
        ("check", "find all mistakes of a partition file"),
        ("build", "compile it for who boots it"),
        ("show", "draw its memory and its CPUs"),
    ):
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("file", type=Path, metavar="FILE", help="partition file (TOML)")
        command.add_argument(
            "--base", type=Path, metavar="TREE", help="the machine's device tree (that of [board] in FILE)"
        )
        command.add_argument(
            "--files", type=Path, metavar="DIR", help="where kernels and ramdisks lie (default: beside FILE)"
        )
        if name == "build":
            command.add_argument(
                "-o",
                "--output",
                type=Path,
                required=True,
                metavar="OUT",
                help="the tree; fit: the image; uboot: a folder",
            )
            command.add_argument("--format", choices=BUILDS, default="list", help="for whom (default: %(default)s)")
            command.add_argument(
                "--hypervisor", type=Path, metavar="IMAGE", help="for uboot and fit (that of [board] in FILE)"
            )
        if name == "show":
            command.add_argument("-o", "--output", type=Path, metavar="FILE.svg", help="draw a picture as well")
    return parser


class _Command:
    def __init__(self, parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
        self.parser = parser
        self.options = options
        self.partition: Partition

    def run(self) -> int:
        self.partition = load(self.options.file)
        match self.options.command:
            case "check":
                return self.check()
            case "show":
                return self.show()
            case _:
                return self.build()

    def resolve(self, name: str) -> Path:
        folder: Path = self.options.files or self.options.file.parent
        return folder / name

    def base(self) -> bytes | None:
        """The machine's tree: the command's, or the file's."""
        if self.options.base is not None:
            return bytes(self.options.base.read_bytes())
        named = self.partition.board.tree
        return self.resolve(named).read_bytes() if named is not None else None

    def needed_base(self) -> bytes:
        base = self.base()
        if base is None:
            self.parser.error("give the machine's tree: --base TREE, or tree in [board] of FILE")
        return base

    def check(self) -> int:
        base = self.base()
        if base is None:
            print(f"{self.options.file}: right in itself; with --base TREE it is held against a machine and its files")
        else:
            self.partition.compile(base, self.resolve)
            print(f"{self.options.file}: right")
        return 0

    def show(self) -> int:
        base = self.base()
        plan = self.partition.sketch() if base is None else self.partition.plan(base)
        loads = []
        if base is not None:
            try:
                loads = self.partition.compile(base, self.resolve).loads
            except PartitionError as error:  # the map does not depend on the files that are missing
                print(f"{error}\n(the map is drawn without files)", file=sys.stderr)
        drawn = draw_map(self.partition, plan, loads)
        if sys.stdout.isatty():
            Console(highlight=False).print(renderable(drawn))
        else:
            print(as_text(drawn), end="")
        if self.options.output is not None:
            self.options.output.write_text(as_svg(drawn))
        return 0

    def build(self) -> int:
        base, out = self.needed_base(), self.options.output
        compiled = self.partition.compile(base, self.resolve)
        places = places_of(read_machine(base), compiled.loads)
        match self.options.format:
            case "uboot":
                hypervisor = self.hypervisor()
                for path in write_folder(out, compiled, places, self.partition.path.stem, hypervisor):
                    print(path)
                if hypervisor is None:
                    print(f"{out / 'constrictor.image'}: to be copied there: the hypervisor's image")
            case "fit":
                self.build_fit(compiled, places, out)
            case name:
                compiled = compiled.written(out.parent, out.stem)
                out.write_bytes(compiled.dtb)
                print(FORMATS[name](compiled, out))
        return 0

    def build_fit(self, compiled: Compiled, places: Places, out: Path) -> None:
        hypervisor = self.hypervisor()
        if hypervisor is None:
            self.parser.error("a FIT image holds the hypervisor: --hypervisor IMAGE, or hypervisor in [board] of FILE")
        try:
            out.write_bytes(fit_image(compiled, places, hypervisor, self.partition.path.stem))
        except (Wrong, TooLarge) as error:
            self.parser.error(str(error))
        print(commands(places, out.name))

    def hypervisor(self) -> Path | None:
        if self.options.hypervisor is not None:
            return Path(self.options.hypervisor)
        named = self.partition.board.hypervisor
        return None if named is None else self.resolve(named)


if __name__ == "__main__":
    sys.exit(main())
