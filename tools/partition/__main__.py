"""`python -m tools.partition FILE --base BASE.dtb -o OUT.dtb`: compiles a partition file and prints what to load.

Exit status: 0 compiled, 1 the partition file has mistakes (printed one per line), 2 the command cannot be used so.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.partition.description import load
from tools.partition.formats import FORMATS
from tools.partition.mistakes import PartitionError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.partition", description="Compiles a description of domains.")
    parser.add_argument("file", type=Path, metavar="FILE", help="partition file (TOML)")
    parser.add_argument("--base", type=Path, required=True, metavar="BASE.dtb", help="the machine's device tree")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.dtb", help="the tree to boot with")
    parser.add_argument(
        "--files", type=Path, metavar="DIR", help="where kernels and ramdisks lie (default: beside FILE)"
    )
    parser.add_argument("--format", choices=FORMATS, default="list", help="what to print (default: %(default)s)")
    options = parser.parse_args(arguments)
    directory = options.files or options.file.parent
    try:
        base = options.base.read_bytes()
    except OSError as error:
        parser.error(f"{options.base}: {error.strerror}")
    try:
        compiled = load(options.file).compile(base, lambda name: directory / name)
    except PartitionError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        options.output.write_bytes(compiled.dtb)
    except OSError as error:
        parser.error(f"{options.output}: {error.strerror}")
    print(FORMATS[options.format](compiled, options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
