"""Read by gdb when `./dev gdb` starts it, with hv.elf loaded: names, printers, commands."""

import sys
from pathlib import Path

import gdb
import gdb.printing

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from devtools.gdb import commands, printers  # noqa: E402
from devtools.gdb.program import Program  # noqa: E402

program = Program.read(Path(gdb.objfiles()[0].filename).parent)
gdb.printing.register_pretty_printer(None, printers.Lookup(program), replace=True)
commands.add(program)
for setting in (
    "pagination off",
    "confirm off",
    "print pretty on",
    "print frame-arguments all",
    "stack-cache off",  # physical and virtual memory are read in turn
    "code-cache off",
    f"directories {ROOT}",
):
    gdb.execute(f"set {setting}")


def hv_try(command: str) -> None:
    """Runs a command; a mistake is printed and does not end a batch."""
    try:
        gdb.execute(command)
    except gdb.error as error:
        gdb.write(f"{error}\n")
